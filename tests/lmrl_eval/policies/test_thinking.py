"""Thinking as a setting: thoughts are played and forgotten, the score says so, and what cannot think is refused."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from cases import check_cases
from random_model import make_llama
from tokenizer_kinds import with_tokens

from lmrl_data import Conversation, Turn, get_task
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_eval.training_record import TrainingRecord

Run = Callable[..., tuple[int, str, str]]
# As Qwen 3's: an empty block of thoughts in the last turn, and none in earlier ones.
TEMPLATE = (
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{%- if m.role == 'assistant' and loop.last %}"
    "{{ '<think>\n\n</think>\n\n' }}{%- endif %}{{ m.content + '<|im_end|>\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- if enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}"
)
# As Qwen 3.5's: the block is open where the agent begins.
OPENS = TEMPLATE.replace(
    "{%- if enable_thinking is false %}", "{%- if enable_thinking is not false %}{{ '<think>\n' }}{%- else %}"
)
TOKENS = {"<|im_start|>", "<|im_end|>", "<think>", "</think>"}
TOKENIZER, OPENING = with_tokens(TOKENS, TEMPLATE), with_tokens(TOKENS, OPENS)


def model() -> Any:
    torch.manual_seed(0)
    made = make_llama(vocab_size=len(TOKENIZER)).double().eval()
    with torch.no_grad():  # the likeliest tokens depend on the whole context
        for parameter in made.parameters():
            if parameter.ndim == 2:
                parameter.mul_(4)
    return made


class Scripted(LanguageModelPolicy):
    """Writes given texts."""

    script: list[str]

    def _write(self, *args: Any) -> list[list[int]]:
        return [TOKENIZER(self.script.pop(0))["input_ids"]]


def conversation(seed: int = 0) -> Conversation:
    return Conversation(seed, None, [Turn("user", f"go {seed}")])


def talk(policy: LanguageModelPolicy | Callable[[], LanguageModelPolicy], turns: int, count: int) -> list[list[str]]:
    """Several turns; a function makes a new policy for each of them."""
    conversations = [conversation(seed) for seed in range(count)]
    for number in range(turns):
        player = policy if isinstance(policy, LanguageModelPolicy) else policy()
        for each, action in zip(conversations, player.act(conversations), strict=True):
            each.turns += (Turn("assistant", action), Turn("user", f"on {number}"))
    return [[turn.content for turn in each.turns] for each in conversations]


def rendered(turns: Sequence[Turn], **settings: Any) -> list[int]:
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    text = TOKENIZER.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **settings)
    return list(TOKENIZER(str(text))["input_ids"])


def test_thoughts_are_played_and_forgotten() -> None:
    policy = Scripted(model(), TOKENIZER, name="thinks", thinking=True, max_new_tokens=64)
    policy.script = [
        "<think>\nleft is a wall</think>\n\nmove up<|im_end|>", "move down<|im_end|>", "<think>\nwhat if",
        "<think></think>move left",
    ]  # fmt: skip
    each = conversation()
    for action in ("move up", "move down", "", "move left"):
        assert policy.prompt(each).ids == rendered(each.turns, enable_thinking=True)
        assert policy.act([each]) == [action]
        each.turns += (Turn("assistant", action), Turn("user", "on"))
    counts = policy.statistics()
    assert (counts["answers"], counts["cut"], counts["unparsable"]) == (4, 2, 1)
    assert policy.complaint() == "of 4 answers 1 could not be read and 2 were cut at 64 tokens: raise --max-new-tokens"


def test_without_thinking_nothing_is_counted_and_the_block_stays_empty() -> None:
    policy = Scripted(model(), TOKENIZER, name="does not", max_new_tokens=64)
    policy.script = ["move up"] * 9
    each = conversation()
    assert policy.prompt(each).ids == rendered(each.turns, enable_thinking=False)
    policy.act([each])
    assert policy.complaint() is None
    assert not {"answers", "cut"} & set(policy.statistics())


def test_a_kept_cache_changes_nothing_of_what_a_thinking_model_writes() -> None:
    def policy() -> LanguageModelPolicy:
        return LanguageModelPolicy(weights, OPENING, name="thinks", thinking=True, max_new_tokens=24, seed=3)

    weights = model()
    bias = torch.zeros(len(TOKENIZER), dtype=torch.float64)
    bias[TOKENIZER.convert_tokens_to_ids(["</think>", "<|im_end|>"])] = 3.0  # they come up often
    weights.lm_head.bias = torch.nn.Parameter(bias)
    kept = policy()
    played = talk(kept, 4, 3)
    assert played == talk(policy, 4, 3)
    assert kept.statistics()["tokens_reused"] > 0
    actions = [text for texts in played for text in texts[1::2]]
    assert 1 < actions.count("") < len(actions) - 1


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    model().float().save_pretrained(folder)
    TOKENIZER.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_the_score_says_whether_a_checkpoint_thought(lmrl_eval: Run, checkpoint: Path) -> None:
    command = ("run", "--task", "wordle", "--episodes", "2", "--policy", str(checkpoint), "--max-new-tokens", "6")
    scores = {}
    for thinking in ("on", "off"):
        code, _, errors = lmrl_eval(*command, "--thinking", thinking, "--out", thinking)
        assert code == 0, errors
        assert ("were cut at 6 tokens: raise --max-new-tokens" in errors) == (thinking == "on")
        scores[thinking] = json.loads(Path(thinking, "score.json").read_text())
    assert [scores[name]["checkpoint"]["thinking"] for name in ("on", "off")] == [True, False]
    assert len({scores[name]["checkpoint"]["prompt_frame_sha256"] for name in scores}) == 2
    assert "cut" not in scores["off"]["statistics"]


def test_what_cannot_think_is_refused_in_one_line(lmrl_eval: Run, checkpoint: Path, base: Path) -> None:
    def check(policy: str, thinking: str, message: str) -> None:
        code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", policy, "--thinking", thinking)
        assert code == 2
        assert message in errors
        assert len([line for line in errors.splitlines() if "error: " in line]) == 1

    path = str(checkpoint)
    cases = [
        (path, "maybe", "unknown thinking 'maybe'; choose from: off, on"),
        ("scripted:optimal", "on", "scripted:optimal cannot be told to think; --thinking on is for checkpoints"),
        ("chat:m@http://localhost/v1", "on", "cannot be told to think; --thinking on is for checkpoints"),
        (str(base), "on", "knows no thinking; leave out --thinking on"),
    ]
    check_cases(cases, check)
    task = get_task("maze")
    record = TrainingRecord(
        "maze", task.version, "fully_observed", "filtered_bc", "me/base", "lmrl/maze", prompt_frame_sha256="0" * 64
    )
    (checkpoint / "training.json").write_text(record.to_json())
    check(path, "on", "was trained without thinking, as its training.json says; leave out --thinking on")
    (checkpoint / "value_model").mkdir()
    check(path, "on", "has values, which know nothing but actions; leave out --thinking on")
