"""Car Dealer: sell a car to a customer whose wishes, budget and way of bargaining have to be found out by talking."""

from lmrl_data.config import Config, ReferenceReturns, by_name
from lmrl_data.task import Protocol, Task
from lmrl_data.tasks.car_dealer.data_facts import data_facts
from lmrl_data.tasks.car_dealer.original import ORIGINAL
from lmrl_data.tasks.car_dealer.players import BEHAVIORS, SOURCE, Concise, Features, Generous, Random, Reader
from lmrl_data.tasks.car_dealer.profile import Profile
from lmrl_data.tasks.car_dealer.simulator import MAX_TURNS, CarDealerSimulator
from lmrl_data.tool import Tool

TASK = Task(
    id="car_dealer",
    version="2.0.0",
    summary="Sell a car to a buyer whose wishes and limits show only in what is said; negotiation and persuasion.",
    configs=by_name(
        Config(
            "revenue",
            "a sale is worth its price in thousands of dollars",
            None,
            ReferenceReturns(0.0, 21.41, 38.96, 45.92, SOURCE),
        ),
        # The least that can be had on average is -9.2: the cheapest car is shown to everybody, and sold to nobody.
        # Nobody would play like that; 0 is what the random seller returns.
        Config(
            "fancy",
            "a sale is worth its price over the mean of budget and list price",
            None,
            ReferenceReturns(-0.497, 0.459, 0.7585, 0.928, f"the random seller's mean over 2,000 seeds; {SOURCE}"),
        ),
    ),
    simulator_class=CarDealerSimulator,
    behaviors=BEHAVIORS,
    num_episodes={"train": 19_000, "test": 1_900},
    max_turns=MAX_TURNS,
    protocols={
        "paper": Protocol("512 talks; the paper does not say how many", 512),
        "quick": Protocol("128 talks", 128),
    },
    policies={
        "random": Random,
        "generous": Generous,
        "features": Features,
        "concise": Concise,
        "reader": Reader,
    },
    instructions=(
        "You are a car dealer and talk to a customer. You speak first. Find out what the customer wants and can pay, "
        "offer a car that fits, by its brand and model, and agree on a price. Write one or two sentences a turn and "
        "nothing else. Name your price in dollars, for example: I can let you have the Toyota RAV4 for $27,500. The "
        "customer knows the list prices and what each car has, and leaves when annoyed or kept waiting. A sale is "
        "worth its price, no sale is worth nothing. There are at most 25 turns."
    ),
    tool=Tool("say", "Says something to the customer.", "message", "One or two sentences."),
    data_facts=data_facts,
    shard_episodes=5_000,
    original=ORIGINAL,
    options={
        "buyer": 'parts of the buyer as JSON, as {"budget":30000}, of '
        f"{', '.join(Profile._fields)}; the seed picks the others",
    },
)
