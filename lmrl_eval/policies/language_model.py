"""The language-model policy: samples the actions of many conversations at once and encodes no history twice."""

import copy
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn
from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

from lmrl_data.errors import UserError
from lmrl_data.policy import Conversation, Policy
from lmrl_data.tokenization import TurnTokenizer
from lmrl_eval.policies.answer import complaint
from lmrl_eval.policies.attention import check_plays, context_length, kept_length, text_config
from lmrl_eval.policies.cache import RowCache

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# The fixed cost of a forward pass, in tokens: measured between 5 (135M parameters) and 55 (0.4M).
FORWARD_COST = 32
MAX_OPENINGS = 64


class Prompt(NamedTuple):
    """What the model reads before an action.

    Args:
        ids (`list[int]`): the token ids.
        opening (`bool`): whether they hold no action: in a first turn, or where only the newest observation counts.
    """

    ids: list[int]
    opening: bool


class LanguageModelPolicy(Policy):
    """Samples actions from a causal language model and keeps its keys and values from turn to turn.

    Where keys and values cannot be kept (see `lmrl_eval.policies.attention`), as in recurrent models, every prompt is
    encoded anew and `model.generate` writes, with the same choices.

    An action depends only on the model, the seeds and the visible turns of its conversation, not on the batch or the
    cache. The policy reads its own earlier actions as the ids it sampled and never tokenizes them again, unless it
    thinks: then it reads their texts. It reuses the
    cache up to the first id that differs, so a window that slid or an edited turn only costs time. The weights may
    change between rollouts, but not within one.

    Subclasses that train on what was sampled, such as the recipes' `RolloutPolicy`, may call `prompt` and
    `clear_cache` and override three methods: `noise_generator` (the noise of an action), `sample` (the sampled ids)
    and `record` (called once an action).

    Args:
        model (`nn.Module`): a causal language model of transformers, or one that is called as such.
        tokenizer (`PreTrainedTokenizerBase`): encodes the turns (see `TurnTokenizer`).
        name (`str`): the value of the episodes' `policy` column.
        seed (`int`, *optional*, defaults to `0`): seed of the sampling noise, combined with each conversation's own.
        temperature (`float`, *optional*, defaults to `1.0`): divides the logits; 0 is greedy.
        max_new_tokens (`int`, *optional*, defaults to `32`): the most tokens of an action, thoughts included.
        thinking (`bool`, *optional*, defaults to `False`): whether the model may think before an action, if its chat
            template knows how. It does not read its earlier thoughts.

    Raises:
        UserError: for a negative seed or temperature, if `max_new_tokens` does not fit into the model's context, or if
            the model cannot play.
    """

    advice = "look at the episodes"  # what may help where answers cannot be read

    def __init__(
        self,
        model: nn.Module,
        tokenizer: "PreTrainedTokenizerBase",
        *,
        name: str,
        seed: int = 0,
        temperature: float = 1.0,
        max_new_tokens: int = 32,
        thinking: bool = False,
    ) -> None:
        if not temperature >= 0:
            raise UserError(f"temperature is 0 (greedy) or more, got {temperature}")
        if seed < 0:
            raise UserError(f"a policy's seed is 0 or more, got {seed}")
        self._kept_length = kept_length(model)
        if not self._kept_length:
            check_plays(model)
        limit = context_length(model)
        if not 0 < max_new_tokens < limit:
            raise UserError(f"max_new_tokens is from 1 to {limit - 1} for this model, got {max_new_tokens}")
        self.model = model
        self.tokenizer = tokenizer
        self.name = name
        self.seed = seed
        self.temperature = temperature
        self.max_new_tokens = max_new_tokens
        self.turns = TurnTokenizer(tokenizer, thinking=thinking)
        self._max_prompt = limit - max_new_tokens
        self._decode: Callable[[tuple[int, ...]], str] = functools.lru_cache(10_000)(self.turns.decode_answer)
        self._begin()

    def _begin(self) -> None:
        self._counts = dict.fromkeys(("tokens_written", "tokens_encoded", "tokens_reused", "forward_calls"), 0)
        if self.counts_answers:
            self._counts |= {"answers": 0, "cut": 0, "unparsable": 0}
        # The sampled ids of each conversation's actions, by the number of the action and its text.
        self._written: WeakKeyDictionary[Conversation, dict[tuple[int, str], list[int]]] = WeakKeyDictionary()
        self.clear_cache()

    def clear_cache(self) -> None:
        """Forgets all keys and values. Call it when the weights have changed within a rollout."""
        parameter = next(self.model.parameters())
        # Row i of the cache belongs to conversation i of the last batch and holds the ids `_cached[i]`.
        self._cache = RowCache(text_config(self.model), parameter.dtype, parameter.device)
        self._seated: list[Conversation] = []
        self._cached: list[list[int]] = []
        # Each opening is encoded once and copied to every conversation that shares it: a fully observed maze has
        # only 26 texts. `_openings` maps the ids of an opening to its row of `_opening_cache`.
        self._opening_cache = RowCache(text_config(self.model), parameter.dtype, parameter.device)
        self._openings: dict[tuple[int, ...], int] = {}
        self._opening_logits: list[Tensor] = []

    def greedy(self) -> "LanguageModelPolicy":
        """The same policy at temperature 0, with the same model and tokenizer and a cache of its own."""
        twin = copy.copy(self)
        twin.temperature = 0.0
        twin._begin()
        return twin

    def statistics(self) -> dict[str, float]:
        """Counts since the policy was made: `tokens_written` (sampled), `tokens_encoded` (prompt tokens run through
        the model), `tokens_reused` (prompt tokens taken from the cache) and `forward_calls`; of a policy that thinks
        also its `answers`, those that were `cut` at the limit of tokens, and those that were `unparsable`."""
        return {name: float(count) for name, count in self._counts.items()}

    def complaint(self) -> str | None:
        """Says so if more than one answer in ten of a policy that thinks was cut or could not be read."""
        answers, unread, cut = (self._counts.get(name, 0) for name in ("answers", "unparsable", "cut"))
        return complaint(answers, unread, cut, self.max_new_tokens, self.advice)

    @property
    def counts_answers(self) -> bool:
        """Whether the answers are counted that were cut or could not be read."""
        return self.turns.frame.thinking is True

    def is_readable(self, ids: Sequence[int]) -> bool:
        """Whether sampled ids are an answer: thoughts that end, with a text behind them."""
        return bool(self._decode(tuple(ids)))

    def facts(self) -> dict[str, str]:
        """What a score says about the form of the answers, where they are no texts."""
        return {}

    @torch.inference_mode()
    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        if not conversations:
            return []
        training = self.model.training
        self.model.eval()
        try:
            prompts = [self.prompt(conversation) for conversation in conversations]
            written = self.sample(conversations, prompts)
        finally:
            self.model.train(training)
        actions = [self._decode(tuple(ids)) for ids in written]
        for conversation, prompt, action, ids in zip(conversations, prompts, actions, written, strict=True):
            if self.counts_answers:
                self._counts["answers"] += 1
                self._counts["cut"] += ids[-1] not in self.turns.stop_ids
                self._counts["unparsable"] += not self.is_readable(ids)
            if not self.turns.frame.thinking:
                by_text = self._written.setdefault(conversation, {})
                by_text[_num_actions(conversation), action] = self.turns.with_end(ids)
            self.record(conversation, prompt.ids, ids)
        return actions

    def sample(self, conversations: Sequence[Conversation], prompts: Sequence[Prompt]) -> list[list[int]]:
        """The sampled ids of each action, up to and including its last one.

        Args:
            conversations (`Sequence[Conversation]`): one for each action.
            prompts (`Sequence[Prompt]`): what the model reads for each.
        """
        if max(len(prompt.ids) for prompt in prompts) + self.max_new_tokens > self._kept_length:
            return self._generate(conversations, prompts)
        self._seat(conversations)
        return self._write(conversations, prompts, self._encode(prompts))

    def record(self, conversation: Conversation, prompt: list[int], written: list[int]) -> None:
        """Called once an action with the ids the model read and the ids it sampled; does nothing here."""

    def noise_generator(self, conversation: Conversation) -> np.random.Generator:
        """The noise of a conversation's next action; it depends on no other turn, row or retry."""
        return np.random.default_rng([self.seed, conversation.seed, _num_actions(conversation)])

    def prompt(self, conversation: Conversation) -> Prompt:
        """The ids of a conversation's visible turns: this policy's own actions as sampled, all else as tokenized."""
        written = self._written.get(conversation, {})
        pieces = list(self.turns.pieces(conversation.visible))
        actions = sum(turn is not None for _, turn in pieces)
        number = _num_actions(conversation) - actions
        prompt: list[int] = []
        for ids, turn in pieces:
            if turn is None:
                prompt += ids
            else:
                prompt += written.get((number, turn.content), ids)
                number += 1
        # A prompt that is too long loses its left end, as in the original implementation.
        return Prompt(prompt[-self._max_prompt :], opening=not actions)

    def _seat(self, conversations: Sequence[Conversation]) -> None:
        """Gives conversation `i` row `i`. A new conversation takes the row of one that has ended, and so reuses what
        the two have in common, such as instructions."""
        places = {id(conversation): place for place, conversation in enumerate(self._seated)}
        order = [places.pop(id(conversation), -1) for conversation in conversations]
        if max(order) < 0:
            # A new rollout begins, and the weights may have changed.
            self.clear_cache()
            places = {}
        old = len(self._seated)
        free = iter([*sorted(places.values()), *range(old, old + len(conversations))])
        order = [next(free) if place < 0 else place for place in order]
        if order != list(range(old)):
            self._cache.select(order)
            self._cached = [self._cached[place] if place < old else [] for place in order]
        self._seated = list(conversations)

    def _encode(self, prompts: Sequence[Prompt]) -> Tensor:
        """Brings every row up to its prompt; returns the logits of the next token, of shape `[rows, vocabulary]`."""
        if len(self._openings) > MAX_OPENINGS:
            self._opening_cache.clear()
            self._openings, self._opening_logits = {}, []
        sharing: dict[tuple[int, ...], list[int]] = {}
        for row, prompt in enumerate(prompts):
            if prompt.opening:
                sharing.setdefault(tuple(prompt.ids), []).append(row)
        new = [ids for ids in sharing if ids not in self._openings]
        encoded = [row for row, prompt in enumerate(prompts) if not prompt.opening] + [sharing[ids][0] for ids in new]
        logits: dict[int, Tensor] = {}
        starts = {row: self._rewind(row, prompts[row].ids) for row in encoded}
        for group in split(encoded, [len(prompts[row].ids) - starts[row] for row in encoded]):
            tokens = [prompts[row].ids[starts[row] :] for row in group]
            logits.update(zip(group, self._forward(group, tokens, [starts[row] for row in group]), strict=True))
            self._counts["tokens_encoded"] += sum(map(len, tokens))
        self._counts["tokens_reused"] += sum(len(prompt.ids) for prompt in prompts)
        self._counts["tokens_reused"] -= sum(len(prompts[row].ids) - start for row, start in starts.items())
        self._share(sharing, new, logits)
        self._cached = [prompt.ids for prompt in prompts]
        return torch.stack([logits[row] for row in range(len(prompts))])

    def _share(
        self, sharing: dict[tuple[int, ...], list[int]], new: Sequence[tuple[int, ...]], logits: dict[int, Tensor]
    ) -> None:
        """Keeps the new openings and copies openings to the rows that did not encode theirs."""
        if new:
            first = len(self._openings)
            self._openings.update(zip(new, range(first, first + len(new)), strict=True))
            rows = [sharing[ids][0] for ids in new]
            self._opening_cache.copy(list(range(first, first + len(new))), self._cache, rows, max(map(len, new)))
            self._opening_logits += [logits[row] for row in rows]
        copies = {row: self._openings[ids] for ids, rows in sharing.items() for row in rows if row not in logits}
        if copies:
            width = max(map(len, sharing))
            self._cache.copy(list(copies), self._opening_cache, list(copies.values()), width)
            logits.update({row: self._opening_logits[opening] for row, opening in copies.items()})

    def _rewind(self, row: int, ids: Sequence[int]) -> int:
        """Cuts a row back to its common prefix with `ids` and returns the length. The last id is never part of it: it
        has to be encoded for its logits."""
        self._cached[row] = self._cached[row][: common_prefix(self._cached[row], ids[:-1])]
        return len(self._cached[row])

    def _forward(self, rows: Sequence[int], tokens: Sequence[list[int]], starts: Sequence[int]) -> Tensor:
        """Appends tokens to rows (ascending) after their first `starts` columns; returns the logits after the last
        token, of shape `[rows, vocabulary]`."""
        longest = max(map(len, tokens))
        input_ids = torch.tensor([[0] * (longest - len(ids)) + ids for ids in tokens], device=self._cache.device)
        placement = self._cache.place(rows, starts, [len(ids) for ids in tokens])
        self._counts["forward_calls"] += 1
        output = self.model(
            input_ids=input_ids,
            attention_mask=placement.attention_mask,
            position_ids=placement.position_ids,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits: Tensor = output.logits[:, -1]
        return logits

    def _generate(self, conversations: Sequence[Conversation], prompts: Sequence[Prompt]) -> list[list[int]]:
        """Samples every action with the model's own `generate`, which encodes the whole prompt and may keep any state.

        Prompts of one length go together, so nothing is padded: not every model can tell padding from text."""
        base: Any = self.model
        base = base.get_base_model() if hasattr(base, "get_base_model") else base  # PEFT's adapters stay active
        by_length: dict[int, list[int]] = {}
        for row, prompt in enumerate(prompts):
            by_length.setdefault(len(prompt.ids), []).append(row)
        written: list[list[int]] = [[] for _ in prompts]
        # A checkpoint's own generation settings, such as penalties, are no part of the policy.
        settings, base.generation_config = base.generation_config, GenerationConfig()
        try:
            for length, rows in by_length.items():
                choices = _Choices(self._noise([conversations[row] for row in rows]), self.temperature, length)
                output = base.generate(
                    torch.tensor([prompts[row].ids for row in rows], device=self._cache.device),
                    attention_mask=torch.ones(len(rows), length, dtype=torch.long, device=self._cache.device),
                    logits_processor=LogitsProcessorList([choices]),
                    do_sample=False,
                    max_new_tokens=self.max_new_tokens,
                    eos_token_id=sorted(self.turns.stop_ids),
                    pad_token_id=min(self.turns.stop_ids),
                )
                for row, ids in zip(rows, output[:, length:].tolist(), strict=True):
                    end = next((place for place, token in enumerate(ids) if token in self.turns.stop_ids), len(ids))
                    written[row] = ids[: end + 1]
                self._counts["forward_calls"] += output.shape[1] - length
        finally:
            base.generation_config = settings
        self._counts["tokens_encoded"] += sum(len(prompt.ids) for prompt in prompts)
        self._counts["tokens_written"] += sum(map(len, written))
        return written

    def _noise(self, conversations: Sequence[Conversation]) -> np.ndarray:
        """The uniform numbers of the next actions, `[rows, tokens]`."""
        return np.stack([self.noise_generator(talk).random(self.max_new_tokens) for talk in conversations])

    def _write(
        self, conversations: Sequence[Conversation], prompts: Sequence[Prompt], logits: Tensor
    ) -> list[list[int]]:
        """Samples every action to its end, from the logits of its first token."""
        noise = self._noise(conversations)
        written: list[list[int]] = [[] for _ in prompts]
        writing = list(range(len(prompts)))
        for step in range(self.max_new_tokens):
            tokens = choose(logits, noise[writing, step], self.temperature)
            for row, token in zip(writing, tokens, strict=True):
                written[row].append(token)
            self._counts["tokens_written"] += len(tokens)
            writing = [row for row in writing if written[row][-1] not in self.turns.stop_ids]
            if not writing or step + 1 == self.max_new_tokens:
                break
            # A pass over some rows copies their cache; a pass over all rows does not, and is cheaper where few rows
            # are idle. An idle row runs its last token, which the next turn needs anyway.
            rows = writing if 2 * len(writing) <= len(prompts) else list(range(len(prompts)))
            starts = [len(prompts[row].ids) + len(written[row]) - 1 for row in rows]
            logits = self._forward(rows, [written[row][-1:] for row in rows], starts)
            for row in rows:
                self._cached[row] = prompts[row].ids + written[row]
            if len(rows) > len(writing):
                logits = logits[writing]
        return written


class _Choices(LogitsProcessor):
    """Leaves `generate` no choice but the token that `choose` picks.

    Args:
        noise (`np.ndarray`): `[rows, tokens]`.
        temperature (`float`): as of the policy.
        start (`int`): the length of the prompts.
    """

    def __init__(self, noise: np.ndarray, temperature: float, start: int) -> None:
        self.noise, self.temperature, self.start = noise, temperature, start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        tokens = choose(scores, self.noise[:, input_ids.shape[1] - self.start], self.temperature)
        index = torch.tensor(tokens, device=scores.device)[:, None]
        return torch.full_like(scores, -torch.inf).scatter_(1, index, 0.0)


def choose(logits: Tensor, noise: np.ndarray, temperature: float) -> list[int]:
    """The sampled token of each row of `logits`: at temperature 0 the most likely one, else the inverse of the
    cumulative distribution at the row's uniform number.

    Raises:
        UserError: if a logit is NaN.
    """
    # In double precision a token's share of [0, 1) does not depend on how many tokens come before it.
    scores = logits.to("cpu" if logits.device.type == "mps" else logits.device, torch.float64)
    if temperature:
        scores = (scores - scores.amax(-1, keepdim=True)) / temperature
    if bool(scores.isnan().any()):
        raise UserError("the model's logits are not numbers; its training must have diverged")
    if not temperature:
        return scores.argmax(-1).tolist()
    cumulative = scores.exp().cumsum(-1)
    points = torch.from_numpy(noise).to(scores.device)[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, points, right=True)[:, 0].tolist()


def split(rows: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
    """Groups rows for forward passes, so that a few long rows do not pad many short ones. Each group is ascending."""
    if not rows:
        return []
    order = sorted(range(len(rows)), key=lengths.__getitem__)
    longest = lengths[order[-1]]
    # The padding saved by running the `cut` shortest rows in a pass of their own.
    saved, cut = max(((cut * (longest - lengths[order[cut - 1]]), cut) for cut in range(1, len(rows))), default=(0, 0))
    if saved <= FORWARD_COST:
        return [sorted(rows)]
    halves = (order[:cut], order[cut:])
    return [group for half in halves for group in split([rows[i] for i in half], [lengths[i] for i in half])]


def common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    """The length of the common prefix of two sequences."""
    length = min(len(first), len(second))
    if first[:length] == second[:length]:
        return length
    return next(index for index in range(length) if first[index] != second[index])


def _num_actions(conversation: Conversation) -> int:
    return sum(turn.role == "assistant" for turn in conversation.turns)
