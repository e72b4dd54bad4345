"""A key-value cache for many conversations: one row each, every row with its own length."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import Cache

from lmrl_eval.policies.attention import attention_masks

FIRST_CAPACITY = 64


class Placement(NamedTuple):
    """Where the tokens of one forward pass go. The new tokens are left-padded to the shape `[rows, tokens]`.

    Args:
        position_ids (`Tensor`): of shape `[rows, tokens]`.
        attention_mask (`Tensor` or `dict[str, Tensor]`): additive, of shape `[rows, 1, tokens, width]`; one for each
            kind of layer where layers see different windows.
    """

    position_ids: Tensor
    attention_mask: Tensor | dict[str, Tensor]


class RowCache(Cache):
    """A `past_key_values` whose rows begin at column 0 and end where the caller says.

    The caller names rows, starts and lengths with `place` before each forward pass. Columns after a row's end hold
    stale values; they are masked and never cleared. A layer is created when a model first updates it, in any order, so
    two networks with different layer numbers can share one cache.

    Args:
        config (`PreTrainedConfig`): of the model's text part; it names the windows of the layers.
        dtype (`torch.dtype`): of the attention mask, the model's own.
        device (`torch.device`): of the model.
    """

    def __init__(self, config: Any, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__(layers=[])
        self.config = config
        self.dtype = dtype
        self.device = device
        self.clear()

    def clear(self) -> None:
        """Drops all rows and frees their memory."""
        self.stores: dict[int, tuple[Tensor, Tensor]] = {}  # by layer: keys, values, [rows, heads, capacity, dim]
        self.num_rows = 0
        self.capacity = 0

    def reserve(self, num_rows: int, capacity: int) -> None:
        """Makes room. Both sizes grow by doubling, so a growing history is copied only a few times."""
        if num_rows <= self.num_rows and capacity <= self.capacity:
            return
        if capacity > self.capacity:
            self.capacity = max(capacity, 2 * self.capacity, FIRST_CAPACITY)
        if num_rows > self.num_rows:
            self.num_rows = max(num_rows, 2 * self.num_rows) if self.num_rows else num_rows
        for layer, pair in self.stores.items():
            self.stores[layer] = (self._grown(pair[0]), self._grown(pair[1]))

    def _grown(self, old: Tensor) -> Tensor:
        new = self._empty(old)
        new[: old.shape[0], :, : old.shape[2]] = old
        return new

    def _empty(self, like: Tensor) -> Tensor:
        # Not `empty`: a masked NaN is still a NaN after the softmax.
        return like.new_zeros(self.num_rows, like.shape[1], self.capacity, like.shape[3])

    def place(self, rows: Sequence[int], starts: Sequence[int], counts: Sequence[int]) -> Placement:
        """Prepares the next forward pass: `counts[i]` new tokens for row `rows[i]` (ascending) after its first
        `starts[i]` columns."""
        longest = max(counts)
        self.width = max(start + count for start, count in zip(starts, counts, strict=True))
        self.reserve(rows[-1] + 1, self.width)
        index = torch.tensor(rows, device=self.device)
        # Consecutive rows are read as a view; other rows are gathered, which copies them.
        whole = rows[-1] - rows[0] + 1 == len(rows)
        self.read: slice | Tensor = slice(rows[0], rows[-1] + 1) if whole else index
        ends = torch.tensor([[start + count] for start, count in zip(starts, counts, strict=True)], device=self.device)
        positions = ends + torch.arange(-longest, 0, device=self.device)
        self.kept: Tensor | None = None
        self.write = (index.repeat_interleave(longest), positions.flatten())
        if min(counts) < longest:
            # Padding is not written: its column holds an older token.
            padding = torch.tensor([[longest - count] for count in counts], device=self.device)
            self.kept = (torch.arange(longest, device=self.device) >= padding).flatten()
            self.write = (self.write[0][self.kept], self.write[1][self.kept])
        # A padding query sees column 0: without any column, its softmax would be 0 / 0.
        positions = positions.clamp(min=0)
        return Placement(positions, attention_masks(self.config, positions, self.width, self.dtype))

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Writes a layer's new keys and values, of shape `[rows, heads, tokens, dim]`, at the columns `place` chose;
        returns these rows up to the longest one's end."""
        if layer_idx not in self.stores:
            self.stores[layer_idx] = (self._empty(key_states), self._empty(value_states))
        keys, values = self.stores[layer_idx]
        for store, states in ((keys, key_states), (values, value_states)):
            new = states.transpose(1, 2).flatten(0, 1)
            store[self.write[0], :, self.write[1]] = new if self.kept is None else new[self.kept]
        return keys[self.read, :, : self.width], values[self.read, :, : self.width]

    def select(self, order: Sequence[int]) -> None:
        """Row `i` becomes the former row `order[i]`; rows that are not named are dropped."""
        self.reserve(max(order) + 1, 0)
        index = torch.tensor(order, device=self.device)
        self.stores = {layer: (keys[index], values[index]) for layer, (keys, values) in self.stores.items()}
        self.num_rows = len(order)

    def copy(self, rows: Sequence[int], source: "RowCache", source_rows: Sequence[int], width: int) -> None:
        """Copies the first `width` columns of another cache's rows into these."""
        self.reserve(max(rows) + 1, width)
        into, out_of = (torch.tensor(numbers, device=self.device) for numbers in (rows, source_rows))
        for layer, pair in source.stores.items():
            if layer not in self.stores:
                self.stores[layer] = (self._empty(pair[0]), self._empty(pair[1]))
            for store, other in zip(self.stores[layer], pair, strict=True):
                store[into, :, :width] = other[out_of, :, :width]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Always 0: the rows have no common length, and each forward pass brings its own positions and mask."""
        return 0
