"""The original release's guessing games: how a conversation in its files ended."""

from lmrl_data.dataset.convert.original import End, Original
from lmrl_data.dataset.convert.record import Play


def end(play: Play) -> End:
    return End(play.done, play.actions[-1].reward == 0, 0)


QUESTIONS = Original(
    {"standard": "questions"},
    end,
    "The files have no rewards: every question costs 1, and the last of a conversation that is `correct` nothing. A "
    "conversation is a success if it is `correct`, and terminated if it is, or if it has 20 questions; a shorter one "
    "was cut short. `invalid` is always 0.",
)
