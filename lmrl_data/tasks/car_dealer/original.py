"""The original release's negotiations: how a conversation in its files ended."""

from lmrl_data.dataset.convert.original import End, Original
from lmrl_data.dataset.convert.record import Play


def end(play: Play) -> End:
    return End(True, play.actions[-1].reward > 0, 0)


ORIGINAL = Original(
    {"revenue": "negotiation"},
    end,
    "The last line of the seller is paid the price in thousands of dollars if the car was bought (`revenue`), and "
    "nothing otherwise; a sale without a price is worth nothing and is no success. Every "
    "conversation is terminated. `invalid` is always 0.",
)
