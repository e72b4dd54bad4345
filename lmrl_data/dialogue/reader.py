"""Reads what a sentence asks for: a small encoder, learned from example sentences, with a head for each kind of label.

`recipes/reader.py` trains it and writes `assets/reader.npz`. Its weights are whole numbers of eight bits, and all sums
are sums of whole numbers that floating point holds exactly, so that a sentence has the same reading on every machine.
"""

import functools
import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MAX_TEXT = 1000  # characters of a text that are read
MAX_PIECES = 62  # of a longer text the last are read: a question ends it
GRID = np.float32(4096)  # hidden numbers are multiples of 1 / GRID
STEPS = 256  # steps of a table for each unit of its argument
REACH = 8 * STEPS  # where the table of GELU ends
SHARES = np.float32(4096)  # attention weights are multiples of 1 / SHARES

Floats = npt.NDArray[np.float32]


# --- word pieces

_WORD = re.compile(r"[a-z0-9]+|[^\sa-z0-9]")


class Pieces:
    """Cuts texts into word pieces, the longest known ones first (WordPiece, Wu et al. 2016).

    Args:
        vocabulary (`Sequence[str]`): the pieces in the order of their ids; those inside a word begin with `##`.
    """

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.ids = {piece: number for number, piece in enumerate(vocabulary)}

    def __call__(self, text: str) -> list[int]:
        """The ids of a text's pieces, between those of `[CLS]` and `[SEP]`."""
        folded = unicodedata.normalize("NFKD", text[:MAX_TEXT].lower())
        plain = "".join(letter for letter in folded if not unicodedata.combining(letter))
        ids = [number for word in _WORD.findall(plain) for number in self._word(word)]
        return [self.ids["[CLS]"], *ids[-MAX_PIECES:], self.ids["[SEP]"]]

    def _word(self, word: str) -> list[int]:
        ids, start = list[int](), 0
        while start < len(word):
            mark = "##" if start else ""
            # No piece is longer than 20 letters; a word of a million letters costs no more than its length.
            for end in range(min(len(word), start + 20), start, -1):
                if (number := self.ids.get(mark + word[start:end])) is not None:
                    break
            else:
                return [self.ids["[UNK]"]]
            ids.append(number)
            start = end
        return ids


# --- arithmetic


def _grid(x: Floats) -> Floats:
    """Numbers rounded to multiples of 1 / GRID, in place."""
    x *= GRID
    np.rint(x, out=x)
    x /= GRID
    return x


# GELU (Hendrycks and Gimpel 2016) from -8 to 8, and e to the power of 0 to -16: at every 1 / STEPS.
_GELU = _grid(
    np.array(
        [x / STEPS * 0.5 * (1 + math.erf(x / STEPS / math.sqrt(2))) for x in range(-REACH, REACH + 1)], np.float32
    )
)
_EXP = np.rint(np.array([math.exp(-x / STEPS) for x in range(2 * REACH + 1)]) * 2**16).astype(np.float32)


def _gelu(x: Floats) -> Floats:
    steps = np.rint(x * STEPS).astype(np.int32)
    steps += REACH
    return np.asarray(np.where(steps > 2 * REACH, x, _GELU.take(steps, mode="clip")))


def _softmax(x: Floats) -> Floats:
    steps = np.rint((x.max(axis=-1, keepdims=True) - x) * STEPS).astype(np.int32)
    parts = _EXP.take(steps, mode="clip")
    return np.asarray(parts / parts.sum(axis=-1, keepdims=True, dtype=np.float64), np.float32)


def _whole(x: Floats) -> tuple[Floats, Floats]:
    """Numbers of each row as whole ones from -127 to 127, and what one of them stands for."""
    largest = np.maximum(x.max(axis=-1, keepdims=True), -x.min(axis=-1, keepdims=True))
    unit = np.maximum(largest, np.float32(2.0**-30)) / np.float32(127)
    whole = x / unit
    return np.rint(whole, out=whole), unit


class Linear(NamedTuple):
    """Weights of whole numbers (inputs x outputs), what one of them stands for in each output, and the bias."""

    weights: Floats
    unit: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        whole, unit = _whole(x)
        # 1,024 products of two numbers up to 127 are less than 2^24, up to which float32 has every whole number.
        total = whole[..., :1024] @ self.weights[:1024]
        for at in range(1024, len(self.weights), 1024):
            total += whole[..., at : at + 1024] @ self.weights[at : at + 1024]
        total *= unit
        total *= self.unit
        total += self.bias
        return _grid(total)


class Norm(NamedTuple):
    """Layer normalization (Ba et al. 2016)."""

    scale: Floats
    bias: Floats

    def __call__(self, x: Floats) -> Floats:
        whole = (x * GRID).astype(np.float64)  # sums of whole numbers do not depend on their order
        mean = whole.sum(axis=-1, keepdims=True) / x.shape[-1]
        variance = (whole * whole).sum(axis=-1, keepdims=True) / x.shape[-1] - mean * mean
        whole -= mean
        whole /= np.sqrt(np.maximum(variance, 1.0))
        return _grid(whole.astype(np.float32) * self.scale + self.bias)


class Layer(NamedTuple):
    """A layer of BERT (Devlin et al. 2019): attention and a feed-forward net, each with a norm behind it."""

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    output_norm: Norm
    wide: Linear
    narrow: Linear
    narrow_norm: Norm

    def __call__(self, x: Floats, heads: int) -> Floats:
        x = self.output_norm(x + self.output(self._attend(x, heads)))
        return self.narrow_norm(x + self.narrow(_gelu(self.wide(x))))

    def _attend(self, x: Floats, heads: int) -> Floats:
        length, width = x.shape
        query, key, value = (
            part(x).reshape(length, heads, width // heads).swapaxes(0, 1)
            for part in (self.query, self.key, self.value)
        )
        (query, query_unit), (key, key_unit) = _whole(query), _whole(key)
        scores = query @ key.swapaxes(1, 2) * query_unit * key_unit.swapaxes(1, 2)
        shares = np.rint(_softmax(scores / np.float32(math.sqrt(width // heads))) * SHARES)
        # One unit for each column of a head's values, as the sum runs over the rows.
        value, unit = _whole(value.swapaxes(1, 2))
        mixed = shares @ value.swapaxes(1, 2) * unit.swapaxes(1, 2) / SHARES
        return _grid(mixed.swapaxes(0, 1).reshape(length, width))


# --- the reader


class Label(NamedTuple):
    """A label of a head and its probability, in steps of about 0.001."""

    name: str
    probability: float


class Reader:
    """A trained reader.

    Args:
        arrays (`Mapping[str, np.ndarray]`): what `recipes/reader.py` writes.
    """

    def __init__(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        facts = json.loads(arrays["facts"].tobytes())
        self.labels: dict[str, list[str]] = facts["labels"]
        self.exclusive: dict[str, bool] = facts["exclusive"]
        self.examples: str = facts["examples"]
        self.attention_heads: int = facts["attention_heads"]
        self.pieces = Pieces(facts["vocabulary"])

        def linear(name: str) -> Linear:
            return Linear(
                arrays[f"{name}.weights"].astype(np.float32),
                arrays[f"{name}.unit"],
                arrays[f"{name}.bias"],
            )

        def norm(name: str) -> Norm:
            return Norm(arrays[f"{name}.scale"], arrays[f"{name}.bias"])

        self.words = arrays["words"]
        self.word_units = arrays["words.unit"]
        self.places = arrays["places"]
        self.first_norm = norm("first_norm")
        self.layers = [
            Layer(*((norm if part.endswith("norm") else linear)(f"{number}.{part}") for part in Layer._fields))  # type: ignore[arg-type]
            for number in range(facts["layers"])
        ]
        self.heads = {head: linear(f"head.{head}") for head in self.labels}

    @functools.lru_cache(10_000)  # noqa: B019 (a reader lives as long as the process)
    def vector(self, text: str) -> Floats:
        """The encoder's vector of a text, of length 1."""
        ids = self.pieces(text)
        x = self.words[ids] * self.word_units[ids] + self.places[: len(ids)]
        x = self.first_norm(_grid(x))
        for layer in self.layers:
            x = layer(x, self.attention_heads)
        mean = np.rint((x * GRID).sum(axis=0, dtype=np.float64) / len(ids))
        return np.asarray(mean / math.sqrt(max((mean * mean).sum(), 1.0)), np.float32)

    def read(self, head: str, text: str) -> list[Label]:
        """The labels of a head with their probabilities, the likeliest first.

        The labels of most heads exclude each other, and one of them is `none`. Those of `act` do not.

        Args:
            head (`str`): `attribute` (of Twenty Questions), `topic`, `fact` and `polarity` (of Guess My City), or
                `act` (of a car seller's line).
            text (`str`): a sentence.
        """
        probabilities = self._probabilities(head, text)
        # Of equals the first in the list.
        order = np.argsort(-probabilities, kind="stable")
        names = self.labels[head]
        return [Label(names[place], float(probabilities[place])) for place in order]

    def best(self, head: str, text: str) -> Label:
        """The first of the labels that `read` returns; it costs less than all hundreds of them."""
        probabilities = self._probabilities(head, text)
        place = int(probabilities.argmax())
        return Label(self.labels[head][place], float(probabilities[place]))

    def _probabilities(self, head: str, text: str) -> Floats:
        scores = self.heads[head](self.vector(text))
        if self.exclusive[head]:
            return _softmax(scores)
        return np.asarray(_softmax(np.stack([scores, np.zeros_like(scores)], axis=-1))[..., 0])


@functools.cache
def reader() -> Reader:
    """The shipped reader, loaded once in a process."""
    with resources.files("lmrl_data.dialogue").joinpath("assets", "reader.npz").open("rb") as file:
        return Reader(dict(np.load(file, allow_pickle=False)))
