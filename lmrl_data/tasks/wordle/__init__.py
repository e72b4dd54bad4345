"""Wordle: find a hidden five-letter word in six tries, told letter by letter how near each guess is."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.task import Behavior, Protocol, Task
from lmrl_data.tasks.wordle.columns import table
from lmrl_data.tasks.wordle.original import ORIGINAL
from lmrl_data.tasks.wordle.players import (
    SOURCE,
    ConsistentPolicy,
    GreedyPolicy,
    MixturePolicy,
    RandomPolicy,
    WrongPolicy,
    play_mixture,
)
from lmrl_data.tasks.wordle.screen import comment, objection, picture
from lmrl_data.tasks.wordle.simulator import MAX_TRIES, WordleSimulator
from lmrl_data.tool import Tool, spelled, unspelled

TASK = Task(
    id="wordle",
    version="1.0.0",
    summary="Find a hidden five-letter word in six tries; strategic decisions under partial observation.",
    # The optimum is not known: a policy may guess words that cannot be the target to learn more. What greedy returns
    # is a bound from below.
    configs=by_name(
        Config(
            "words_400",
            "431 words, as many as in the paper",
            None,
            ReferenceReturns(-6.0, -4.136, -1.9698, -1.9698, SOURCE),
        ),
        Config(
            "words_200",
            "236 words",
            None,
            ReferenceReturns(-6.0, -3.911, -1.7669, -1.7669, SOURCE),
            {"train": 100_000, "test": 10_000},
        ),
        Config(
            "words_800",
            "826 words",
            None,
            ReferenceReturns(-6.0, -4.376, -2.2143, -2.2143, SOURCE),
            {"train": 100_000, "test": 10_000},
        ),
        Config(
            "full",
            "2,309 words, all answers",
            None,
            ReferenceReturns(-6.0, -4.758, -2.6232, -2.6232, SOURCE),
            {"train": 100_000, "test": 10_000},
        ),
    ),
    simulator_class=WordleSimulator,
    behaviors=(Behavior("mixture", 1.0, play_mixture),),
    num_episodes={"train": 1_000_000, "test": 100_000},
    max_turns=MAX_TRIES,
    protocols={
        "paper": Protocol("4,096 games, as in the paper", 4_096),
        "quick": Protocol("512 games", 512),
    },
    policies={
        "random": RandomPolicy,
        "consistent": ConsistentPolicy,
        "mixture": MixturePolicy,
        "greedy": GreedyPolicy,
        "wrong": WrongPolicy,
    },
    instructions=(
        "You are playing Wordle. A five-letter English word is hidden, and you have six tries to guess it. Answer "
        "with one guess and nothing else: five lower-case letters with a space between them, for example s h i r e. "
        "Each guess is answered by five letters: g means the letter is right, y that the word has it elsewhere, b "
        "that the word does not have it. A letter is y wherever it stands wrongly, however often the word has it. "
        "What is no word of the list that is played with is answered by an empty line and costs a try."
    ),
    tool=Tool("guess", "Guesses a word.", "word", "Five lower-case letters.", (), spelled, unspelled),
    picture=picture,
    comment=comment,
    objection=objection,
    shard_episodes=100_000,
    table=table,
    original=ORIGINAL,
    options={
        "target": "the hidden word, as shire; a word of the list that the seed picks by default",
        "rules": "paper, or official, which marks each letter of the target once; paper by default",
        "vocab": "a file with one word a line, in place of the config's list",
        "invalid_reward": "the reward of a guess that is not in the list, 0 or below; -1 by default",
    },
    local_options=("vocab",),
)
