"""The language-model policy: what it writes may depend on no cache, no batch and no neighbour."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from cases import release
from random_model import MODELS, TOKENIZERS, make_model
from torch import nn

from lmrl_data import Conversation, Policy, Turn, UserError, get_task, rollout
from lmrl_data.tasks.maze.grid import ACTIONS
from lmrl_data.tokenization import TurnTokenizer
from lmrl_eval.policies import language_model
from lmrl_eval.policies.cache import FIRST_CAPACITY
from lmrl_eval.policies.language_model import LanguageModelPolicy, choose, split

pytestmark = pytest.mark.slow


class Reference(Policy):
    """The slow policy: every turn, every row alone, all ids again for every token, no cache."""

    def __init__(
        self, model: nn.Module, tokenizer: Any, *, seed: int, temperature: float, max_new_tokens: int
    ) -> None:
        self.name = "reference"
        self.model, self.turns, self.seed = model, TurnTokenizer(tokenizer), seed
        self.eos, self.temperature, self.max_new_tokens = tokenizer.eos_token_id, temperature, max_new_tokens
        self.written: dict[tuple[int, int], tuple[str, list[int]]] = {}
        self.sampled: list[list[int]] = []

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._act(conversation) for conversation in conversations]

    @torch.inference_mode()
    def _act(self, conversation: Conversation) -> str:
        pieces = list(self.turns.pieces(conversation.visible))
        number = sum(turn.role == "assistant" for turn in conversation.turns)
        past = number - sum(turn is not None for _, turn in pieces)
        prompt: list[int] = []
        for ids, turn in pieces:
            text, sampled = self.written.get((conversation.seed, past), ("", []))
            prompt += sampled if turn is not None and turn.content == text and sampled else ids
            past += turn is not None
        stream = np.random.default_rng([self.seed, conversation.seed, number])
        written: list[int] = []
        while len(written) < self.max_new_tokens and not (written and written[-1] in self.turns.stop_ids):
            logits = self.model(input_ids=torch.tensor([prompt + written]), use_cache=False).logits[0, -1]
            if self.temperature:
                cumulative = torch.softmax(logits / self.temperature, -1).numpy().cumsum()
                written.append(int(np.searchsorted(cumulative, stream.random() * cumulative[-1], side="right")))
            else:
                written.append(int(logits.argmax()))
        self.sampled.append(written)
        action, end = self.turns.decode_action(written), self.turns.action_end
        ended = written[-1] in self.turns.stop_ids - ({self.eos} if self.turns.raw else set())
        self.written[conversation.seed, number] = (action, written + ([] if ended else end))
        return action


class Recorder(LanguageModelPolicy):
    """The policy under test, with what it sampled and what it looked like inside."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sampled: list[list[int]] = []
        super().__init__(*args, **kwargs)

    def _write(self, *args: Any) -> list[list[int]]:
        written = super()._write(*args)
        self.sampled += written
        return written


class Legal(Policy):
    """Plays what another policy writes, now and then, and a legal move in its place otherwise: histories grow, the
    other policy finds words in its mouth, and an invalid action wipes the history once in a while."""

    def __init__(self, policy: Policy, legal: int) -> None:
        self.policy, self.name, self.legal = policy, policy.name, legal

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._legal(text, c) for text, c in zip(self.policy.act(conversations), conversations, strict=True)]

    def _legal(self, text: str, conversation: Conversation) -> str:
        number = sum(map(ord, text)) + conversation.seed + len(conversation.turns)
        return list(ACTIONS)[number % 4] if number % self.legal else text


def play(policy: Policy, config: str, count: int, *, batch_size: int, max_turns: int, legal: int) -> list[Any]:
    """Maze episodes as their turns."""
    maze = get_task("maze")
    seeds = range(count)
    played = rollout(maze, config, Legal(policy, legal), seeds, batch_size=batch_size, max_turns=max_turns)
    return [episode.turns for episode in played]


CASES = [("llama", "raw"), ("gpt2", "raw"), ("two", "raw"), ("llama", "chatml")]


@pytest.mark.parametrize("temperature", [release(0.0), 1.0])
@pytest.mark.parametrize(("kind", "template"), CASES)
@pytest.mark.parametrize(("config", "legal"), [("fully_observed", 2), ("partially_observed", 7)])
def test_writes_the_tokens_that_encoding_everything_anew_would_write(
    config: str, legal: int, kind: str, template: str, temperature: float
) -> None:
    model, tokenizer = make_model(kind), TOKENIZERS[template]
    settings = {"seed": 5, "temperature": temperature, "max_new_tokens": 3}
    slow = Reference(model, tokenizer, **settings)
    turns = play(slow, config, 9, batch_size=1, max_turns=4, legal=legal)
    for batch_size in (1, 3, 8):
        fast = Recorder(model, tokenizer, name="fast", **settings)
        assert play(fast, config, 9, batch_size=batch_size, max_turns=4, legal=legal) == turns
        assert sorted(fast.sampled) == sorted(slow.sampled)
        assert fast.statistics()["tokens_reused"] > 0


@pytest.mark.parametrize(("kind", "template"), [("llama", "raw"), release("gpt2", "chatml")])
def test_a_window_that_slides_and_is_wiped_shows_what_encoding_it_anew_shows(kind: str, template: str) -> None:
    model, tokenizer = make_model(kind), TOKENIZERS[template]
    settings = {"seed": 1, "temperature": 1.0, "max_new_tokens": 3}
    slow, fast = Reference(model, tokenizer, **settings), Recorder(model, tokenizer, name="fast", **settings)
    game = {"max_turns": 45, "legal": 60}
    turns = play(slow, "partially_observed", 3, batch_size=1, **game)
    assert play(fast, "partially_observed", 3, batch_size=2, **game) == turns
    assert sorted(fast.sampled) == sorted(slow.sampled)
    assert max(map(len, turns)) > 60  # longer than the 40 texts that are visible


def talk(
    policy: Policy, turns: int, conversations: Sequence[Conversation] | None = None, count: int = 4
) -> list[Conversation]:
    """Conversations in which the user says something of another length at every turn."""
    if conversations is None:
        conversations = begin(count)
    for _ in range(turns):
        for conversation, action in zip(conversations, policy.act(conversations), strict=True):
            said = "on " * (1 + (conversation.seed + len(conversation.turns)) % 5)
            conversation.turns += (Turn("assistant", action), Turn("user", f"go {said}"))
    return list(conversations)


def begin(count: int, history: int | None = None) -> list[Conversation]:
    return [Conversation(seed, history, [Turn("user", f"begin {seed}")]) for seed in range(count)]


def texts(conversations: Sequence[Conversation]) -> list[list[str]]:
    return [[turn.content for turn in conversation.turns] for conversation in conversations]


def make_policy(kind: str = "llama", template: str = "raw", **settings: Any) -> Recorder:
    return Recorder(make_model(kind), TOKENIZERS[template], **{"name": "tested", "max_new_tokens": 6} | settings)


def make_reference(kind: str = "llama", template: str = "raw", **settings: Any) -> Reference:
    defaults = {"seed": 0, "temperature": 1.0, "max_new_tokens": 6}
    return Reference(make_model(kind), TOKENIZERS[template], **defaults | settings)


@pytest.mark.parametrize(("kind", "template"), CASES)
@pytest.mark.parametrize("history", [release(1), 4, release(5)])
def test_a_sliding_window_is_read_as_if_nothing_stood_before_it(history: int, kind: str, template: str) -> None:
    policy, reference = make_policy(kind, template), make_reference(kind, template)
    assert texts(talk(policy, 6, begin(3, history))) == texts(talk(reference, 6, begin(3, history)))
    assert sorted(policy.sampled) == sorted(reference.sampled)


@pytest.mark.parametrize("kind", MODELS)
def test_a_long_history_outgrows_the_first_capacity_unharmed(kind: str) -> None:
    policy = make_policy(kind)
    assert texts(talk(policy, 9)) == texts(talk(make_reference(kind), 9))
    assert policy._cache.capacity > 2 * FIRST_CAPACITY


def test_an_action_depends_on_no_neighbour_and_no_order() -> None:
    policy = make_policy()
    together = talk(policy, 3, count=8)
    for seed in (0, 5):
        alone = talk(make_policy(), 3, begin(8)[seed : seed + 1])
        assert texts(alone) == texts(together[seed : seed + 1])
    # In another order, some left out for a while, others new.
    policy, mixed = make_policy(), begin(8)
    for places in ([4, 2, 0], [0, 1, 2, 3, 4], [7, 2], [7, 6, 5, 3, 1, 0], [4, 6, 0, 5, 7, 3, 1], [2], [4, 5, 6, 7]):
        talk(policy, 1, [mixed[place] for place in places])
    lengths = [len(conversation.turns) for conversation in mixed]
    expected = talk(make_reference(), 5, count=8)
    assert texts(mixed) == [said[:length] for said, length in zip(texts(expected), lengths, strict=True)]


def test_the_policy_seed_and_the_episode_seed_both_decide_the_noise() -> None:
    same = [Conversation(seed, None, [Turn("user", "begin")]) for seed in (1, 1, 2, 3)]
    one, again, two, three = make_policy(seed=0).act(same)
    assert one == again
    assert len({one, two, three}) > 1
    assert make_policy(seed=9).act(same) != [one, again, two, three]


def test_asking_twice_gives_the_same_answer() -> None:
    policy = make_policy()
    conversations = talk(policy, 2)
    assert policy.act(conversations) == policy.act(conversations) == make_policy_after(conversations, 2)


def make_policy_after(conversations: Sequence[Conversation], turns: int) -> list[str]:
    reference = make_reference()
    assert texts(talk(reference, turns)) == texts(conversations)
    return reference.act(conversations)


@pytest.mark.parametrize(("index", "role"), [(0, "user"), (1, "assistant"), (2, "user"), (3, "assistant")])
def test_a_history_edited_behind_its_back_is_noticed(index: int, role: Any) -> None:
    policy, reference = make_policy(), make_reference()
    conversations = talk(policy, 3)
    assert texts(talk(reference, 3)) == texts(conversations)
    conversations[1].turns[index] = Turn(role, "move up")
    assert policy.act(conversations) == reference.act(conversations)


def test_new_weights_are_used_from_the_next_rollout_on() -> None:
    policy = make_policy()
    before = talk(policy, 2)
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(-1)
    after = talk(policy, 2)
    fresh = LanguageModelPolicy(policy.model, policy.tokenizer, name="fresh", max_new_tokens=6)
    assert texts(after) == texts(talk(fresh, 2)) != texts(before)


def test_only_what_is_new_is_encoded() -> None:
    policy = make_policy(temperature=0.0)
    (conversation,) = talk(policy, 1, count=1)
    before = policy.statistics()
    policy.act([conversation])
    counted = {name: value - before[name] for name, value in policy.statistics().items()}
    observation = policy.turns.observation_ids(conversation.turns[-1:], first=False)
    # The last sampled token was not run yet; if it did not end the action, neither was the end.
    late = 1 + (policy.sampled[0][-1] not in policy.turns.stop_ids) * len(policy.turns.action_end)
    assert counted["tokens_encoded"] == len(observation) + late
    assert (
        counted["tokens_reused"] == len(policy.turns.prompt_ids(conversation.turns[:1])) + len(policy.sampled[0]) - 1
    )
    assert counted["forward_calls"] == counted["tokens_written"] == len(policy.sampled[1])


def test_equal_first_observations_are_encoded_once() -> None:
    policy = make_policy()
    many = [Conversation(seed, None, [Turn("user", "begin")]) for seed in range(30)]
    actions = policy.act(many)
    assert policy.statistics()["tokens_encoded"] == len(policy.turns.prompt_ids(many[0].turns))
    assert actions == [make_policy().act([conversation])[0] for conversation in many]
    assert len(set(actions)) > 1


def test_more_openings_than_are_kept_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(language_model, "MAX_OPENINGS", 2)
    model, tokenizer = make_model("llama"), TOKENIZERS["raw"]
    settings = {"seed": 0, "temperature": 1.0, "max_new_tokens": 3}
    game = {"max_turns": 6, "legal": 50, "batch_size": 3}
    slow, fast = Reference(model, tokenizer, **settings), Recorder(model, tokenizer, name="fast", **settings)
    assert play(fast, "fully_observed", 6, **game) == play(slow, "fully_observed", 6, **game)


def widths(policy: LanguageModelPolicy) -> list[tuple[int, ...]]:
    """From now on, the shape `[rows, tokens]` of every forward pass."""
    shapes: list[tuple[int, ...]] = []
    policy.model.register_forward_pre_hook(
        lambda module, args, kwargs: shapes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    return shapes


def test_ended_conversations_are_not_computed() -> None:
    policy = make_policy()
    conversations = talk(policy, 2, count=8)
    shapes = widths(policy)
    policy.act(conversations[3:5])
    assert max(rows for rows, _ in shapes) == 2


def test_rows_that_have_written_are_dropped_once_they_are_the_most() -> None:
    policy = make_policy(max_new_tokens=30)
    shapes = widths(policy)
    talk(policy, 1, count=16)
    lengths = sorted(map(len, policy.sampled))
    for step, (rows, tokens) in enumerate(shapes[1:], start=1):
        writing = sum(length > step for length in lengths)
        assert tokens == 1
        assert rows == (writing if 2 * writing <= 16 else 16)
    assert lengths[0] < lengths[-1]


def test_one_long_prompt_does_not_pad_many_short_ones() -> None:
    assert split([3, 5, 8, 9], [2, 90, 3, 2]) == [[3, 8, 9], [5]]
    assert split([0, 1, 2], [7, 9, 8]) == [[0, 1, 2]]
    assert sorted(split([0, 1, 2, 3, 4], [1, 100, 1, 400, 1])) == [[0, 2, 4], [1], [3]]
    assert split([], []) == []


def test_a_history_too_long_for_the_model_loses_its_beginning() -> None:
    model = make_model("gpt2", n_positions=40)
    policy = LanguageModelPolicy(model, TOKENIZERS["raw"], name="short", temperature=0, max_new_tokens=6)
    conversations = talk(policy, 5)
    ids = policy.prompt(conversations[0]).ids
    assert len(ids) == 34
    written = []
    with torch.inference_mode():
        while len(written) < 6 and not (written and written[-1] in policy.turns.stop_ids):
            written.append(int(model(input_ids=torch.tensor([ids + written])).logits[0, -1].argmax()))
    assert policy.act(conversations)[0] == policy.turns.decode_action(written)


def test_the_greedy_twin_has_no_noise_and_leaves_the_policy_alone() -> None:
    policy = make_policy()
    conversations = talk(policy, 1)
    greedy = policy.greedy()
    assert texts(talk(greedy, 3)) == texts(talk(make_reference(temperature=0.0), 3))
    assert policy.temperature == 1.0
    assert texts(talk(policy, 2, conversations)) == texts(talk(make_reference(), 3))


def test_a_model_in_training_plays_without_dropout_and_goes_on_training() -> None:
    policy = make_policy("gpt2")
    policy.model.train()
    assert texts(talk(policy, 2)) == texts(talk(make_reference("gpt2"), 2))
    assert policy.model.training


def test_a_token_is_the_inverse_of_the_distribution_function() -> None:
    # Shares 0.2, 0, 0.5, 0.3.
    logits = torch.tensor([[0.2, 0.0, 0.5, 0.3]]).log()
    drawn = [choose(logits, np.array([point]), 1.0)[0] for point in (0.0, 0.19, 0.21, 0.69, 0.71, 1 - 2**-53)]
    assert drawn == [0, 0, 2, 2, 3, 3]
    # At temperature 1/2 the shares are squared: 4, 0, 25, 9 of 38.
    assert [choose(logits, np.array([point]), 0.5)[0] for point in (0.10, 0.11, 0.76, 0.77)] == [0, 2, 2, 3]
    assert choose(logits, np.array([0.0]), 0.0) == [2]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_diverged_model_is_reported(temperature: float) -> None:
    policy = make_policy(temperature=temperature)
    with torch.no_grad():
        next(policy.model.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match="diverged"):
        talk(policy, 1)


@pytest.mark.parametrize(
    "settings", [{"temperature": -1}, {"seed": -1}, {"max_new_tokens": 0}, {"max_new_tokens": 2048}]
)
def test_impossible_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"temperature|seed|max_new_tokens"):
        make_policy(**settings)


class Scripted(LanguageModelPolicy):
    """Writes given ids."""

    script: list[int]

    def _write(self, *args: Any) -> list[list[int]]:
        return [self.script]


@pytest.mark.parametrize(
    ("template", "script", "text", "missing"),
    [
        ("raw", ["a", "b", "Ċ"], "ab", []),
        ("raw", ["a", "b"], "ab", ["Ċ"]),  # ran into max_new_tokens
        ("raw", ["a", "<|end|>"], "a", ["Ċ"]),
        ("raw", ["Ċ"], "", []),
        ("chatml", ["a", "<|im_end|>"], "a", []),
        ("chatml", ["a", "Ċ", "b"], "a\nb", ["<|im_end|>"]),
    ],
)
def test_the_history_holds_what_was_sampled_and_the_end_that_was_not(
    template: str, script: list[str], text: str, missing: list[str]
) -> None:
    tokenizer = TOKENIZERS[template]
    policy = Scripted(make_model("llama"), tokenizer, name="scripted")
    policy.script = tokenizer.convert_tokens_to_ids(script)
    (conversation,) = begin(1)
    before = policy.turns.prompt_ids(conversation.turns)
    assert policy.act([conversation]) == [text]
    conversation.turns += (Turn("assistant", text), Turn("user", "go"))
    after = policy.turns.observation_ids(conversation.turns[-1:], first=False)
    assert policy.prompt(conversation).ids == before + policy.script + tokenizer.convert_tokens_to_ids(missing) + after


def test_an_empty_batch_is_answered() -> None:
    assert make_policy().act([]) == []
