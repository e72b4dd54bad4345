"""The original release's walks through the house: how an episode in its files ended."""

from lmrl_data.dataset.convert.original import End, Original
from lmrl_data.dataset.convert.record import Play

# The release's texts are TextWorld's, in a wording of their own.
COMMANDS = "Admissible commands: "
UNLISTED = ("examine", "look", "inventory")  # valid commands that the texts never list
LOST = "*** You lost! ***"


def end(play: Play) -> End:
    success = play.actions[-1].reward == 1
    lost = LOST in (play.replies[-1] or "")
    texts = [turn.content for turn in play.turns if turn.role == "user"]
    invalid = 0
    for text, action in zip(texts, play.actions, strict=False):
        _, listed, commands = text.rpartition(COMMANDS)
        command = action.content.strip()
        unlisted = command.startswith(UNLISTED)
        invalid += bool(listed) and not unlisted and command not in commands.strip().split(", ")
    return End(success or lost, success, invalid)


ORIGINAL = Original(
    {"fully_observed": "history", "partially_observed": "history"},
    end,
    "An episode is a success if its last reward is 1. It is terminated if it is a success or if its last text "
    f"says `{LOST}`; every other one was cut short, even if the file calls it done. `invalid` counts the commands "
    "that the text before them did not list, other than looking around.",
)
