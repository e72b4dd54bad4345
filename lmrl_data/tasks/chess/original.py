"""The original release's games of chess and endgames: how a game in its files ended."""

from lmrl_data.dataset.convert.original import End, Original
from lmrl_data.dataset.convert.record import Play
from lmrl_data.tasks.chess.simulator import MAX_MOVES


def end(play: Play) -> End:
    actions = play.actions
    for index, turn in enumerate(play.turns):
        if turn.role == "user" and turn.content[1::2].strip(" "):
            raise ValueError(f"state {index // 2} is no FEN with a space between all characters")
    success = actions[-1].reward == 1
    terminated = success or (play.done and len(actions) <= MAX_MOVES)
    illegal = sum(action.reward == -1 for action in (actions[:-1] if terminated else actions))
    return End(terminated, success, illegal)


ORIGINAL = Original(
    {"standard": "steps"},
    end,
    "A game is won if its last reward is 1. It is terminated if it is won, or if its last step is done within 400 "
    "moves: a draw and a game that the generator cut short cannot be told apart. `invalid` counts the rewards of -1 "
    "before the end: an illegal move costs that.",
)
