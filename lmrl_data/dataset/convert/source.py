"""What the original release has of each task: the formats of its files, and how an episode in them ended."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lmrl_data.dataset.convert.record import Play


class End(NamedTuple):
    terminated: bool  # otherwise a limit cut the episode short
    success: bool
    invalid: int  # actions that the simulator could not read


def maze_end(play: Play) -> End:
    from lmrl_data.tasks.maze.simulator import ACTIONS, MAX_MOVES

    success = play.actions[-1].reward == 0
    # Nobody looks at the action that `Failure` answers.
    return End(success, success, sum(action.content not in ACTIONS for action in play.actions[:MAX_MOVES]))


def chess_end(play: Play) -> End:
    from lmrl_data.tasks.chess.simulator import MAX_MOVES

    actions = play.actions
    for index, turn in enumerate(play.turns):
        if turn.role == "user" and turn.content[1::2].strip(" "):
            raise ValueError(f"state {index // 2} is no FEN with a space between all characters")
    success = actions[-1].reward == 1
    terminated = success or (play.done and len(actions) <= MAX_MOVES)
    illegal = sum(action.reward == -1 for action in (actions[:-1] if terminated else actions))
    return End(terminated, success, illegal)


def wordle_end(play: Play) -> End:
    from lmrl_data.tasks.wordle.simulator import INVALID, MAX_TRIES, SOLVED

    success = play.replies[-1] == SOLVED
    return End(success or len(play.actions) >= MAX_TRIES, success, play.replies.count(INVALID))


def text_nav_end(play: Play) -> End:
    success = play.actions[-1].reward == 1
    lost = LOST in (play.replies[-1] or "")
    texts = [turn.content for turn in play.turns if turn.role == "user"]
    invalid = 0
    for text, action in zip(texts, play.actions, strict=False):
        _, listed, commands = text.rpartition(COMMANDS)
        command = action.content.strip()
        hidden = command.startswith(HIDDEN)
        invalid += bool(listed) and not hidden and command not in commands.strip().split(", ")
    return End(success or lost, success, invalid)


def questions_end(play: Play) -> End:
    return End(play.done, play.actions[-1].reward == 0, 0)


def negotiation_end(play: Play) -> End:
    return End(True, play.actions[-1].reward > 0, 0)


# Of TextWorld's texts.
COMMANDS = "Admissible commands: "
HIDDEN = ("examine", "look", "inventory")  # understood, but never listed
LOST = "*** You lost! ***"


class Source(NamedTuple):
    """What the original release has of a task.

    Args:
        formats (`Mapping[str, str]`): each config's format, by its name in `READERS`.
        end (`Callable`): tells from a play how it ended.
        ends (`str`): the same in words, for the card.
    """

    formats: Mapping[str, str]
    end: Callable[[Play], End]
    ends: str

    @property
    def lines(self) -> bool:
        """Whether a file is JSON lines for sure; otherwise it may also be one JSON array."""
        return "steps" in self.formats.values()


_GAMES = Source(
    {"standard": "steps"},
    chess_end,
    "A game is won if its last reward is 1. It is terminated if it is won, or if its last step is done within 400 "
    "moves: a draw and a game that the generator cut short cannot be told apart. `invalid` counts the rewards of -1 "
    "before the end: an illegal move costs that.",
)
_QUESTIONS = Source(
    {"standard": "questions"},
    questions_end,
    "The files have no rewards: every question costs 1, and the last of a conversation that is `correct` nothing. A "
    "conversation is a success if it is `correct`, and terminated if it is, or if it has 20 questions; a shorter one "
    "was cut short. `invalid` is always 0.",
)
SOURCES: Mapping[str, Source] = {
    "maze": Source(
        {"fully_observed": "steps", "partially_observed": "history"},
        maze_end,
        "An episode reached the goal, and terminated, if its last reward is 0; every other one was cut short, even if "
        "the file calls it done. `invalid` counts the actions that are none of the four moves.",
    ),
    "wordle": Source(
        {"words_400": "sequence"},
        wordle_end,
        "A game is a success if its last answer is `g g g g g`, and terminated if it is a success or has six guesses. "
        "`invalid` counts the empty answers. The words are those of the original's list, which is not the list of the "
        "config `words_400`: to score a policy trained on them, give the simulator theirs: `--option vocab=FILE`.",
    ),
    "text_nav": Source(
        {"fully_observed": "history", "partially_observed": "history"},
        text_nav_end,
        "An episode is a success if its last reward is 1. It is terminated if it is a success or if its last text "
        f"says `{LOST}`; every other one was cut short, even if the file calls it done. `invalid` counts the commands "
        "that the text before them did not list, other than looking around.",
    ),
    "chess": _GAMES,
    "endgames": _GAMES,
    "twenty_questions": _QUESTIONS,
    "guess_my_city": _QUESTIONS,
    "car_dealer": Source(
        {"revenue": "negotiation"},
        negotiation_end,
        "The last line of the seller is paid the price in thousands of dollars if the car was bought (`revenue`), and "
        "nothing otherwise. Every conversation is terminated. `invalid` is always 0.",
    ),
}
