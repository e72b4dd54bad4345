"""A sentence of a line as words: amounts and names of models are marks, and stand beside it."""

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import NamedTuple

from lmrl_data.tasks.car_dealer.catalog import BRAND_WORDS, TYPE_WORDS, catalogue, find_models, model_starts
from lmrl_data.tasks.car_dealer.reading.number import Number, Token, number_at, tokens_of

LIMIT = 500  # characters of a line that are read
MARKS = frozenset(".,;:!?()/+-")
_PLAIN = {0x2018: "'", 0x2019: "'", 0x2013: "-", 0x2014: "-", 0xA0: " ", 0x2212: "-"}
_PLAIN |= {0x20AC: "$", 0xA3: "$"}  # a price is a number, whatever the currency
_SENTENCES = re.compile(r"(?<=[.!?;]) +")
_NUMBER_MARKS = {"percent": "%", "year": "~", "other": "x"}
# One amount stands for all of five or six digits, so that sentences that differ only in prices share a cache entry.
_PRICE = re.compile(r"\$([1-9][0-9]{1,2},[0-9]{3})(?![0-9,.'/]|[a-z]| ?(?:k|grand|thou))")
_STAND_IN = "$99,999"
_STOOD_IN = 99_999
# Words as they are typed in haste.
_SPELT = {word.replace("'", ""): word for word in (
    "that's", "can't", "don't", "won't", "doesn't", "isn't", "didn't", "couldn't", "wouldn't", "let's", "you're",
    "you'll", "you'd", "i'm", "i've", "what's", "how's", "there's", "they're", "he's",
)} | {"u": "you", "ur": "your", "ya": "you", "im": "i'm", "cos": "because"}  # fmt: skip


class Mention(NamedTuple):
    """A car that a sentence names: where, which of the catalogue it may be, its brand and its type."""

    place: int
    cars: tuple[int, ...]
    brand: str | None
    type: str | None


class Sentence(NamedTuple):
    """The words of a sentence, its numbers and the cars it names, by their places among the words."""

    words: tuple[str, ...]
    numbers: tuple[tuple[int, Number], ...]
    mentions: tuple[Mention, ...]
    length: int  # in words

    @property
    def text(self) -> str:
        """The words with a blank behind each."""
        return " ".join(self.words) + " "


def sentences_of(text: str) -> list[Sentence]:
    """The sentences of a line."""
    text = text[:LIMIT].lower()
    if not text.isascii():
        text = text.translate(_PLAIN).encode("ascii", "replace").decode()
    return [_with_own_prices(sentence) for sentence in _SENTENCES.split(text.replace("\n", " "))]


def _with_own_prices(text: str) -> Sentence:
    """A sentence as words; sentences that differ only in prices are cut once."""
    prices = _PRICE.findall(text)
    if not prices:
        return _cut(text)
    sentence = _cut(_PRICE.sub(_STAND_IN, text))
    if sum(number.value == _STOOD_IN for _, number in sentence.numbers) != len(prices):
        return _cut(text)
    values = iter([float(price.replace(",", "")) for price in prices])
    return sentence._replace(
        numbers=tuple(
            (place, number._replace(value=next(values)) if number.value == _STOOD_IN else number)
            for place, number in sentence.numbers
        )
    )


@cache
def _names() -> frozenset[str]:
    return frozenset(BRAND_WORDS) | frozenset(TYPE_WORDS) | model_starts()


@lru_cache(maxsize=20_000)
def _cut(text: str) -> Sentence:
    tokens = tokens_of(text)
    keys = [_SPELT.get(token.key, token.key) for token in tokens]
    starts = [place for place, key in enumerate(keys) if key in _names()]
    models = {place: (size, cars) for place, size, cars in find_models(
        keys, starts, [BRAND_WORDS[key] for key in keys if key in BRAND_WORDS])} if starts else {}  # fmt: skip
    words: list[str] = []
    numbers: list[tuple[int, Number]] = []
    mentions: list[Mention] = []
    place = 0
    while place < len(keys):
        key = keys[place]
        if place in models or key in BRAND_WORDS:
            size, cars = models.get(place, (1, ()))
            brand = catalogue()[cars[0]].brand if cars else BRAND_WORDS[key]
            if words[-1:] == ["model"]:  # brand and model are one name
                mentions.pop()
            else:
                words.append("model")
            mentions.append(Mention(len(words) - 1, cars, brand, None))
            place += size
            continue
        if key in TYPE_WORDS:
            last = mentions[-1] if mentions else None
            if last and len(words) - last.place <= 2 and last.type is None:
                mentions[-1] = last._replace(type=TYPE_WORDS[key])
            else:
                mentions.append(Mention(len(words), (), None, TYPE_WORDS[key]))
        read = number_at(tokens, place) if _may_begin(tokens[place]) else None
        if read:
            numbers.append((len(words), read[0]))
            words.append(_NUMBER_MARKS.get(read[0].form, "#"))
            place = read[1]
        else:
            words.append(key)
            place += 1
    return Sentence(tuple(words), tuple(numbers), tuple(mentions), sum(key not in MARKS for key in keys))


def _may_begin(token: Token) -> bool:
    return bool(token.digits or token.word)


def clauses_of(words: Sequence[str]) -> list[tuple[int, int]]:
    """Where the clauses of a sentence begin and end; a comma does not end one."""
    ends = [place for place, word in enumerate(words) if word in _BREAKS] + [len(words)]
    begins = [0, *(end + 1 for end in ends[:-1])]
    return [(begin, end) for begin, end in zip(begins, ends, strict=True) if begin < end]


_BREAKS = frozenset([".", "!", "?", ";", "but", "though", "however", "although", "yet"])
