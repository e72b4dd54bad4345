"""How fast Wordle is: our simulator beside one that filters its list at every step, the policies, the data.

    python benchmarks/wordle.py

Prints one line of JSON. The original keeps no target: at every guess it filters the whole list by what is known of
each letter, and draws one of the words that are left. `Refiltering` is our own plain reconstruction of that cost, not
the original's code. It is given the same guesses in the same process, so the ratio holds on a busy machine too. Times
are CPU seconds of this process, the best of several runs.
"""

import json
import platform
import random
import time
from collections.abc import Callable

from lmrl_data import Turn, get_task, rollout
from lmrl_data.policy import Conversation
from lmrl_data.tasks.wordle.columns import table
from lmrl_data.tasks.wordle.simulator import FIRST, SOLVED
from lmrl_data.tasks.wordle.words import WordGame, list_words, word_game

WORDLE = get_task("wordle")
WORDS = list_words("words_400")
ORIGINAL_STEP_S = 4.9e-3  # measured of the original's environment on two cores of this kind, 430 words
REPEATS = 5
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


def best(run: Callable[[], int]) -> float:
    """CPU seconds for each thing done, in the best of the repeats."""
    times = []
    for _ in range(REPEATS):
        begin = time.process_time()
        count = run()
        times.append((time.process_time() - begin) / count)
    return min(times)


class Refiltering:
    """Wordle without a target: what is known of the 26 letters is matched against every word at every guess."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # For each letter: is it in the word (None: not known), where it is, where it is not.
        self.letters: dict[str, tuple[bool | None, set[int], set[int]]] = {
            letter: (None, set(), set()) for letter in ALPHABET
        }

    def fits(self, word: str) -> bool:
        for letter, (contained, places, other_places) in self.letters.items():
            if contained is not None and (letter in word) != contained:
                return False
            if any(word[place] != letter for place in places):
                return False
            if any(word[place] == letter for place in other_places):
                return False
        return True

    def step(self, action: str) -> str:
        guess = action.replace(" ", "")
        target = self.random.choice([word for word in WORDS if self.fits(word)])
        marks = []
        for place, letter in enumerate(guess):
            _, places, other_places = self.letters[letter]
            if target[place] == letter:
                self.letters[letter] = (True, places | {place}, other_places)
                marks.append("g")
            elif letter in target:
                self.letters[letter] = (True, places, other_places | {place})
                marks.append("y")
            else:
                self.letters[letter] = (False, places, other_places)
                marks.append("b")
        return " ".join(marks)


GUESSES = [[" ".join(word) for word in random.Random(game).choices(WORDS, k=5)] for game in range(1_000)]


def step() -> float:
    """CPU seconds a step; five guesses a game, drawn uniformly as most of the data's are."""
    simulators = [get_task("wordle").simulator() for _ in GUESSES]
    for seed, simulator in enumerate(simulators):
        simulator.reset(seed=seed)
    steps = 0
    begin = time.process_time()
    for simulator, actions in zip(simulators, GUESSES, strict=True):
        for action in actions:
            steps += 1
            if simulator.step(action)[2]:
                break
    return (time.process_time() - begin) / steps


def refilter(games: int) -> int:
    """The same guesses without a target."""
    steps = 0
    for game, actions in enumerate(GUESSES[:games]):
        simulator = Refiltering(game)
        for action in actions:
            steps += 1
            if simulator.step(action) == SOLVED:
                break
    return steps


def reset(games: int) -> int:
    simulator = get_task("wordle").simulator()
    for seed in range(games):
        simulator.reset(seed=seed)
    return games


def act(name: str) -> dict[str, float]:
    """Microseconds for a policy's first move and its third, in games that differ."""
    policy = WORDLE.policy(name, "words_400")
    episodes = rollout(WORDLE, "words_400", policy, range(200))
    first = [Conversation(seed, None, [Turn("user", FIRST)]) for seed in range(200)]
    third = [Conversation(each.seed, None, list(each.turns[:5])) for each in episodes if len(each.turns) > 5]
    return {
        "first_us": round(1e6 * best(lambda: len(policy.act(first))), 1),
        "third_us": round(1e6 * best(lambda: len(policy.act(third))), 1),
    }


def search(tries: int) -> int:
    """The greedy policy's choice where nothing is kept from before: at the first move, or after two guesses."""
    game = word_game(WORDS)
    known = [("s h i r e", "b b y b b"), ("c l o a k", "b b b y b")][:tries]
    possible = game.consistent(known).nonzero()[0]
    game._informative.clear()
    game.most_informative(possible)
    return 1


def make_codes() -> int:
    return WordGame(WORDS, "paper").codes.ndim - 1


def main() -> None:
    simulator = get_task("wordle").simulator()
    fast = min(step() for _ in range(REPEATS))
    slow = best(lambda: refilter(40))
    result = {
        "benchmark": "wordle",
        "python": platform.python_version(),
        "step_us": round(1e6 * fast, 2),
        "feedback_table_ms": round(1e3 * best(make_codes), 2),
        "seeded_reset_us": round(1e6 * best(lambda: reset(1_000)), 1),
        "refiltering_step_us": round(1e6 * slow, 1),
        "times_refiltering": round(slow / fast),
        "times_the_originals_4_9_ms": round(ORIGINAL_STEP_S / fast),
        "policies": {name: act(name) for name in WORDLE.policies},
        "greedy_search_first_ms": round(1e3 * best(lambda: search(0)), 2),
        "greedy_search_third_us": round(1e6 * best(lambda: search(2)), 1),
        "games_per_s_by_column": round(1 / best(lambda: table(simulator, range(2_500)).num_rows)),
        "games_per_s_one_by_one": round(
            1 / best(lambda: len([WORDLE.generate(simulator, seed) for seed in range(500)]))
        ),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
