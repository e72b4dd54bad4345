"""How the ten personalities of a buyer differ in what they say and when, and in how they bid."""

from typing import NamedTuple


class Temper(NamedTuple):
    """How a personality bargains.

    Args:
        tells (`float`): how often it tells its budget when it is asked for the first time.
        opens (`int`): how many features it names at most as it says what it wants.
        asks (`float`): how keen it is on questions about the car, over what its strategy makes of it.
        bids (`float`): how often it names an amount where it could also just push.
        scorns (`float`): how often it calls a price too high before it bids.
        step (`int`): its bids are multiples of it, in dollars.
        cost (`float`): what a turn more is worth to it at the end of its patience, as a share of what the car is
            worth. It pays that much more than it bids, rather than talk on.
        bears (`float`): how much annoyance it bears.
    """

    tells: float
    opens: int
    asks: float
    bids: float
    scorns: float
    step: int
    cost: float
    bears: float


TEMPERS = {
    "abusive": Temper(0.5, 1, 0.5, 0.6, 0.4, 500, 0.015, 5.0),
    "angry": Temper(0.8, 1, 0.6, 0.75, 0.3, 500, 0.025, 5.0),
    "insulting": Temper(0.6, 1, 0.7, 0.6, 0.35, 100, 0.015, 5.5),
    "polite": Temper(0.95, 2, 1.2, 0.75, 0.1, 100, 0.02, 7.0),
    "respectful": Temper(0.95, 2, 1.1, 0.85, 0.08, 100, 0.02, 7.0),
    "rude": Temper(0.6, 1, 0.6, 0.8, 0.35, 500, 0.02, 5.5),
    "sarcastic": Temper(0.6, 1, 0.8, 0.6, 0.3, 100, 0.015, 6.0),
    "talkative": Temper(1.0, 3, 1.5, 0.65, 0.15, 100, 0.01, 7.0),
    "toxic": Temper(0.5, 1, 1.0, 0.5, 0.4, 100, 0.01, 5.0),
    "uncommunicative": Temper(0.7, 0, 0.4, 0.9, 0.2, 500, 0.015, 6.0),
}
