"""The words for whole numbers below a hundred, and the words that multiply."""

_UP_TO_NINETEEN = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_FROM_TWENTY = "twenty thirty forty fifty sixty seventy eighty ninety"

ONES = {word: number for number, word in enumerate(_UP_TO_NINETEEN.split())}
TENS = {word: 10 * number for number, word in enumerate(_FROM_TWENTY.split(), 2)}
SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 1_000_000_000}
