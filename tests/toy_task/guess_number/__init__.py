"""Guess Number: find a number from 1 to 8 in five guesses, told after each one whether it is higher or lower."""

from guess_number.players import BEHAVIORS, BisectPolicy, RandomPolicy
from guess_number.simulator import MAX_GUESSES, GuessNumberSimulator
from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.task import Protocol, Task

TASK = Task(
    id="guess_number",  # the name of the package, the entry point, the dataset and the command's argument
    version="1.0.0",
    summary="Find a number from 1 to 8 in five guesses; information gathering in its smallest form.",
    configs=by_name(
        Config(
            "standard",
            "the policy sees all texts",
            history=None,
            # Five wrong guesses; the mean of the data; bisection, which is the best one can do.
            reference=ReferenceReturns(-5.0, -1.87, -1.625, -1.625, "exact; the data's mean over 10,000 episodes"),
        ),
    ),
    simulator_class=GuessNumberSimulator,
    behaviors=BEHAVIORS,
    num_episodes={"train": 1_000, "test": 100},
    max_turns=MAX_GUESSES,
    # The first protocol is the default one, and is called `paper` in every task.
    protocols={"paper": Protocol("each number 32 times", 32, {str(n): {"number": n} for n in range(1, 9)})},
    policies={"bisect": BisectPolicy, "random": RandomPolicy},
    instructions="Guess a number from 1 to 8. Answer with one digit and nothing else.",
)
