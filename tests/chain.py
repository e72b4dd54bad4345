"""Walks on a chain of states, 0 to the goal, for recipes that must find a path which no episode of the data goes."""

import numpy as np

from lmrl_data import Episode, Turn

NUM_STATES = 5
GOAL = NUM_STATES - 1


def see(state: int) -> str:
    return f"You are at {state}."


def chain_episodes(count: int = 120) -> list[Episode]:
    """Walks within {0, 1, 2} and within {2, 3, goal}; a third of the steps lead right."""
    random = np.random.default_rng(0)
    episodes = []
    for seed in range(count):
        low, high = (0, 2) if seed % 2 else (2, GOAL)
        state = int(random.integers(low, high))
        turns = [Turn("user", see(state))]
        while state < high and len(turns) < 17:
            right = random.random() < 1 / 3
            state = state + 1 if right else max(low, state - 1)
            turns.append(Turn("assistant", "right" if right else "left", 0.0 if state == GOAL else -1.0))
            turns.append(Turn("user", "Success" if state == GOAL else see(state)))
        over = state == GOAL
        episodes.append(Episode("chain", "chain", tuple(turns), over, not over, seed, "test", {"success": over}))
    return episodes
