"""Twenty Questions: find out by yes-or-no questions which of 158 everyday objects is hidden."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.dialogue.original import QUESTIONS
from lmrl_data.task import Protocol, Task
from lmrl_data.tasks.twenty_questions.data_facts import data_facts
from lmrl_data.tasks.twenty_questions.players import BEHAVIORS, ExpertPolicy, RandomPolicy
from lmrl_data.tasks.twenty_questions.simulator import MAX_QUESTIONS, TwentyQuestionsSimulator
from lmrl_data.tool import Tool

TASK = Task(
    id="twenty_questions",
    version="2.0.0",
    summary="Find a hidden everyday object by twenty yes-or-no questions; strategic information gathering.",
    configs=by_name(
        Config(
            "standard",
            "158 objects, all questions and answers visible",
            None,
            ReferenceReturns(
                -20.0,
                -14.73,
                -6.985,
                -6.985,
                "ours: the data's mean; the greedy expert, the mean of five games an object. "
                "The best policy is not known",
            ),
        )
    ),
    simulator_class=TwentyQuestionsSimulator,
    behaviors=BEHAVIORS,
    num_episodes={"train": 100_000, "test": 10_000},
    max_turns=MAX_QUESTIONS,
    protocols={
        "paper": Protocol("632 games, about four an object; the paper states no number (its script plays 32)", 632),
        "quick": Protocol("158 games", 158),
    },
    policies={"random": RandomPolicy, "expert": ExpertPolicy},
    instructions=(
        "You are playing Twenty Questions. One everyday object is hidden: an animal, a fruit, a vegetable, a vehicle, "
        "clothing, jewelry, furniture, electronics, a musical instrument, a tool, something from the kitchen, the "
        "office, the garden, sports, art, toys or nature. Ask one question at a time that can be answered with yes or "
        "no, and write nothing else, for example: Is it an animal? Each is answered by Yes. or No., or by I can't "
        "answer that. To win, name the object in a question, for example: Is it a lion? You have twenty questions; "
        "each one costs a point but the one that names the object."
    ),
    tool=Tool("ask", "Asks a question.", "question", "A question that can be answered with yes or no."),
    data_facts=data_facts,
    original=QUESTIONS,
    options={
        "object": "the hidden object, as Lion; the seed picks it by default",
        "strict": "true by default: a question out of scope is answered with I can't answer that.; false: with No.",
    },
)
