"""Random numbers that are a function of (seed, index): the same for one seed, and for a million of them in an array.

Making a generator for every seed takes longer than a whole game of Wordle. These numbers are SplitMix64's, whose n-th
number is computed without the others.
"""

from typing import Any, TypeVar

import numpy as np

Number = TypeVar("Number", int, np.ndarray)

RANGE = 2**32
_MASK = 2**64 - 1
_STEP = 0x9E3779B97F4A7C15


def draw(seed: Number, index: int) -> Number:
    """A whole number from 0 to `RANGE` - 1.

    Args:
        seed (`int` or `np.ndarray` of `uint64`): one seed, or many.
        index (`int`): which of the seed's numbers.
    """
    # Consecutive seeds are mixed first, so that their sequences have nothing in common.
    return _mix(_mix(seed & _MASK) + ((index + 1) * _STEP & _MASK) & _MASK) >> 32


def below(number: Number, size: Any) -> Number:
    """A drawn number brought into the range from 0 to `size` - 1; `size` is one, or an array of `uint64`."""
    return number * size >> 32


def _mix(value: Number) -> Number:
    # Arrays of uint64 wrap by themselves; Python's whole numbers are cut to 64 bits.
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
    return value ^ (value >> 31)
