"""Guess My City: find out where somebody lives, in twenty questions that are answered in whole sentences."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.dialogue.original import QUESTIONS
from lmrl_data.task import Protocol, Task
from lmrl_data.tasks.guess_my_city.data_facts import data_facts
from lmrl_data.tasks.guess_my_city.players import (
    BEHAVIORS,
    SOURCE,
    ExpertPolicy,
    NoisyPolicy,
    PoorPolicy,
    RandomPolicy,
)
from lmrl_data.tasks.guess_my_city.simulator import MAX_QUESTIONS, GuessMyCitySimulator
from lmrl_data.tool import Tool

TASK = Task(
    id="guess_my_city",
    version="2.0.0",
    summary="Find out where somebody lives in twenty questions; open questions, answers in whole sentences.",
    # The paper's scale, -20, -18.8 and -8.56, belongs to its own oracle.
    configs=by_name(
        Config(
            "standard", "100 cities, as in the paper", None, ReferenceReturns(-20.0, -18.166, -2.81, -2.81, SOURCE)
        ),
        Config(
            "extended",
            "500 cities from all over the world",
            None,
            ReferenceReturns(-20.0, -18.392, -2.416, -2.416, SOURCE),
            {"train": 20_000, "test": 2_000},
        ),
    ),
    simulator_class=GuessMyCitySimulator,
    behaviors=BEHAVIORS,
    num_episodes={"train": 100_000, "test": 10_000},
    max_turns=MAX_QUESTIONS,
    protocols={
        # The paper states no number of games.
        "paper": Protocol("400 games; the paper states no number", 400),
        "quick": Protocol("100 games", 100),
    },
    policies={"random": RandomPolicy, "expert": ExpertPolicy, "noisy": NoisyPolicy, "poor": PoorPolicy},
    instructions=(
        "You are playing a game. I live in a city somewhere in the world, and you find out which one. Ask me up to 20 "
        "questions, one at a time, open ones (What do people eat there?) or yes/no ones (Is it in Asia?). I answer "
        "truthfully, but I never say the name of the city or of the country. When you think that you know it, ask "
        "whether it is that city, for example: Is it Paris? Each question but the right guess costs a point. "
        "Answer with one question and nothing else."
    ),
    tool=Tool("ask", "Asks a question.", "question", "One question."),
    data_facts=data_facts,
    original=QUESTIONS,
    options={"city": "the hidden city, by name or alias; the seed picks it by default"},
)
