"""The original release's games of Wordle: how a game in its files ended."""

from lmrl_data.dataset.convert.original import End, Original
from lmrl_data.dataset.convert.record import Play
from lmrl_data.tasks.wordle.simulator import INVALID, MAX_TRIES, SOLVED


def end(play: Play) -> End:
    success = play.replies[-1] == SOLVED
    return End(success or len(play.actions) >= MAX_TRIES, success, play.replies.count(INVALID))


ORIGINAL = Original(
    {"words_400": "sequence"},
    end,
    "A game is a success if its last answer is `g g g g g`, and terminated if it is a success or has six guesses. "
    "`invalid` counts the empty answers. The words are those of the original's list, which is not the list of the "
    "config `words_400`: to score a policy trained on them, give the simulator theirs: `--option vocab=FILE`.",
)
