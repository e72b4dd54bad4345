"""Whatever the tokenizer and the chat template: a policy reads and writes the ids that `trl sft` trains on, or it is
refused in one line."""

import re
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trl
from cases import check_cases, read_cases, release
from datasets import Dataset
from tokenizer_kinds import KINDS, build, with_tokens
from tokenizers import normalizers
from trl import SFTConfig, SFTTrainer
from trl.chat_template_utils import get_training_chat_template, has_generation_markers

from lmrl_data import Turn, UserError, get_task
from lmrl_data.tokenization import PROBES, TurnTokenizer, with_fixed_date

RECIPES = Path(__file__).parents[2] / "recipes"
SHIPPED = Path(trl.__file__).parent / "chat_templates"
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.role == 'assistant' %}{% generation %}{{ message.content }}<|im_end|>{% endgeneration %}"
    "{% else %}{{ message.content }}<|im_end|>{% endif %}\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TEMPLATES = {"raw": None, "chatml": CHATML} | {
    name: (RECIPES / f"{name}.jinja").read_text(encoding="utf-8") for name in ("text_game", "text_game_bos")
}
TEMPLATES |= {
    "mistral": (
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
        "{% else %}{% generation %} {{ m.content }}{{ eos_token }}{% endgeneration %}{% endif %}{% endfor %}"
    ),
    "llama2_chat": (
        "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ m.content }} [/INST]"
        "{% else %}{% generation %} {{ m.content }} {{ eos_token }}{% endgeneration %}{% endif %}{% endfor %}"
    ),
    "zephyr": (
        "{% for message in messages %}<|{{ message.role }}|>\n{% if message.role == 'user' %}{{ message.content }}"
        "{{ eos_token }}{% else %}{% generation %}{{ message.content }}{{ eos_token }}{% endgeneration %}{% endif %}\n"
        "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    ),
}
# In the literals of a template: `<|user|>`, `<start_of_turn>`, `<｜User｜>`, `[gMASK]`.
CONTROL = re.compile(r"<[|｜/]?[\w▁| ]+[|｜]?>|\[\w+\]")
TURNS = [Turn("assistant" if i % 2 else "user", text) for i, text in enumerate(PROBES[0])]


@cache
def talks() -> list[list[Turn]]:
    """The beginnings of episodes of several tasks."""
    tasks = [get_task(name) for name in ("maze", "text_nav", "wordle", "endgames", "twenty_questions", "car_dealer")]
    return [list(task.generate(task.simulator(), seed=3).turns[:6]) for task in tasks]


def messages(turns: list[Turn]) -> list[dict[str, str]]:
    return [{"role": turn.role, "content": turn.content} for turn in turns]


def trained_by_trl(tokenizer: Any, rows: list[dict[str, Any]], chat_template: str | None) -> Any:
    """`input_ids` and `labels` of rows as `trl sft` makes them."""
    steps = "prompt" in rows[0]
    args = SFTConfig(use_cpu=True, bf16=False, max_length=None, assistant_only_loss=not steps, output_dir="unused")
    trainer: Any = SimpleNamespace(_tokenizer=tokenizer, chat_template=chat_template, completion_only_loss=steps)
    return SFTTrainer._prepare_dataset(trainer, Dataset.from_list(rows), tokenizer, args, False, None, "train")


def check_same_ids(turns: TurnTokenizer, talk: list[Turn], trained: dict[str, list[int]]) -> None:
    """The ids up to the last action's end are those of `trl sft`, which learns all that the agent writes."""
    ours = turns.trajectory(talk)
    last = max(place for place, acted in enumerate(ours.action_mask) if acted)
    length = last + 1
    assert trained["input_ids"][:length] == ours.input_ids[:length]
    learned = [label != -100 for label in trained["labels"][:length]]
    assert all(learned[place] for place in range(length) if ours.action_mask[place])


@pytest.mark.filterwarnings("ignore")
def test_every_kind_of_tokenizer_plays_what_trl_trains_or_is_refused() -> None:
    def check(kind: str, template: str, expected: str) -> None:
        tokenizer = build(kind, TEMPLATES[template], eos="<|im_end|>" if template == "chatml" else "</s>")
        if expected != "plays":
            with pytest.raises(UserError, match=expected) as caught:
                TurnTokenizer(tokenizer)
            assert "\n" not in str(caught.value)
            return
        turns = TurnTokenizer(tokenizer)
        for talk in talks():
            for turn in talk[1::2]:
                turns.check_action(turn.content)
        if template == "raw":
            for talk in talks():
                ids = tokenizer("".join(f"{turn.content}\n" for turn in talk))["input_ids"]
                ours = turns.prompt_ids(talk)
                assert ours == ids[: len(ours)]
            return
        first = [{"prompt": messages(talk[:1]), "completion": messages(talk[1:2])} for talk in talks()]
        for talk, trained in zip(talks(), trained_by_trl(tokenizer, first, None), strict=True):
            check_same_ids(turns, talk[:2], trained)
        whole = [{"messages": messages(talk)} for talk in talks()]
        for talk, trained in zip(talks(), trained_by_trl(tokenizer, whole, None), strict=True):
            check_same_ids(turns, talk, trained)

    cases = read_cases("tokenizer_kinds.tsv")
    assert {kind for kind, _, _ in cases} == set(KINDS)
    check_cases(cases, check)


# --- the chat templates that TRL ships


def difference(turns: TurnTokenizer, talk: list[Turn], trained: dict[str, list[int]]) -> str:
    """How `trl sft` writes a talk otherwise, in the words of `chat_templates.tsv`."""
    try:
        check_same_ids(turns, talk, trained)
        return "same"
    except (AssertionError, IndexError):
        ours = turns.trajectory(talk)
        end = len(ours.action_mask) - ours.action_mask[::-1].index(1) - len(turns.action_end)
        assert trained["input_ids"][:end] == ours.input_ids[:end], "other ids before the last action's end"
        last = trained["input_ids"][end:]
        return "no end" if not last else "other end" if last[0] in turns.stop_ids else "?"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("every", [release(1), 4])
def test_every_chat_template_of_trl_plays_what_trl_trains_or_is_refused(every: int) -> None:
    def check(name: str, result: str, thinking: str, steps: str, whole: str) -> None:
        template = (SHIPPED / f"{name}.jinja").read_text(encoding="utf-8")
        tokenizer = with_tokens(set(CONTROL.findall(template)), template)
        if result != "plays":
            with pytest.raises(UserError, match=result) as caught:
                TurnTokenizer(tokenizer)
            assert "\n" not in str(caught.value)
            assert "text_game.jinja" in str(caught.value)
            return
        turns = TurnTokenizer(tokenizer)
        assert {None: "-", False: "off"}[turns.frame.thinking] == thinking
        row = {"prompt": messages(TURNS[:1]), "completion": messages(TURNS[1:2])}
        (trained,) = trained_by_trl(tokenizer, [row], with_fixed_date(template))
        assert difference(turns, TURNS[:2], trained) == steps
        try:
            marked = template if has_generation_markers(template) else get_training_chat_template(tokenizer)
        except ValueError:
            assert whole == "refused by trl"
            return
        (trained,) = trained_by_trl(tokenizer, [{"messages": messages(TURNS)}], with_fixed_date(str(marked)))
        assert difference(turns, TURNS, trained) == whole

    cases = read_cases("chat_templates.tsv")
    assert {name for name, *_ in cases} == {path.stem for path in SHIPPED.glob("*.jinja")}
    check_cases(cases[::every], check)


# --- turns


def shipped(name: str, **settings: Any) -> TurnTokenizer:
    template = (SHIPPED / f"{name}.jinja").read_text(encoding="utf-8")
    return TurnTokenizer(with_tokens(set(CONTROL.findall(template)), template), **settings)


@pytest.mark.filterwarnings("ignore")
def test_an_agent_that_thinks_reads_what_its_template_writes_or_is_refused() -> None:
    def check(name: str, thinking: str) -> None:
        if thinking == "-" or name.startswith(("gptoss", "muse")):
            kind = "no thinking" if thinking == "-" else "thinking of another kind"
            with pytest.raises(UserError, match=f"chat template knows {kind}.*; leave out --thinking on"):
                shipped(name, thinking=True)
            return
        turns = shipped(name, thinking=True)
        for talk in (TURNS[:1], TURNS[:3]):
            text = turns.tokenizer.apply_chat_template(
                messages(talk), add_generation_prompt=True, enable_thinking=True, tokenize=False
            )
            assert turns.prompt_ids(talk) == turns.tokenizer(text, add_special_tokens=False)["input_ids"]
        assert turns.frame.facts()["thinking"] is True
        assert turns.frame.facts()["prompt_frame_sha256"] != shipped(name).frame.facts()["prompt_frame_sha256"]
        opened = str(turns.tokenizer.decode(turns.prompt_ids(TURNS[:1]))).rstrip().endswith("<think>")
        for written, action in {
            "{}the wall is on the left: move up?</think>\n\nmove down": "move down",
            "{}a</think>b</think> move down \n": "move down",
            "{}the wall is": "",
            "{}</think>": "",
            "move down": "" if opened else "move down",
        }.items():
            ids = list(
                turns.tokenizer(written.format("" if opened else "<think>"), add_special_tokens=False)["input_ids"]
            )
            assert turns.decode_answer([*ids, *turns.action_end]) == action
            assert turns.decode_answer(ids) == action

    cases = [(case[0], case[2]) for case in read_cases("chat_templates.tsv") if not case[0].endswith("_training")]
    check_cases([case for case in cases if case[1] == "off"] + [("qwen2_5", "-"), ("gemma4", "-")], check)


def test_raw_text_begins_with_bos_whatever_the_first_turn_is() -> None:
    turns = TurnTokenizer(build("llama2", None))
    bos = turns.tokenizer.bos_token_id
    for window in (TURNS, TURNS[1:], [Turn("system", "Rules."), *TURNS]):
        ids = turns.prompt_ids(window)
        assert ids[0] == bos
        assert ids.count(bos) == 1
    # An action at the beginning of a window has the ids that the policy wrote.
    assert turns.prompt_ids(TURNS[1:]) == [bos, *turns.prompt_ids(TURNS)[len(turns.prompt_ids(TURNS[:1])) :]]
    assert turns.trajectory(TURNS[1:]).action_mask[0] == 0


def test_an_end_that_only_the_last_turn_has_is_not_read_in_an_earlier_one() -> None:
    turns = shipped("gptoss")
    vocabulary = turns.tokenizer.get_vocab()
    written = turns.content_ids("move down")
    for end in ("<|return|>", "<|end|>"):
        assert vocabulary[end] in turns.stop_ids
        assert turns.decode_action([*written, vocabulary[end]]) == "move down"
        assert turns.with_end([*written, vocabulary[end]]) == turns.action_ids("move down")
    assert turns.with_end(written) == turns.action_ids("move down")


def test_a_space_before_the_text_and_the_end_is_the_agents() -> None:
    turns = TurnTokenizer(build("llama2", TEMPLATES["llama2_chat"]))
    ids = turns.action_ids("move down")
    assert turns.tokenizer.convert_ids_to_tokens(ids)[-2:] == ["▁", "</s>"]
    assert turns.decode_action(ids) == "move down"
    assert turns.with_end(ids) == ids
    assert turns.with_end([*ids[:-2], ids[-1]]) == [*ids[:-2], ids[-1]]


def test_a_template_that_takes_no_system_turn_says_so() -> None:
    with pytest.raises(UserError, match=r"takes no texts of system and user .System role not supported"):
        shipped("gemma").prompt_ids([Turn("system", "Rules."), *TURNS[:1]])


def test_an_end_that_is_no_token_of_the_tokenizer_is_refused() -> None:
    with pytest.raises(UserError, match=r"'<turn_end>' ends a turn .* is no special token"):
        TurnTokenizer(build("gpt2", CHATML.replace("<|im_end|>", "<turn_end>")))


def test_an_action_that_the_tokenizer_changes_is_not_trained_on() -> None:
    turns = TurnTokenizer(build("gpt2", None))
    turns.tokenizer.backend_tokenizer.normalizer = normalizers.Lowercase()
    turns.trajectory([TURNS[0], Turn("assistant", "move down")])
    with pytest.raises(UserError, match="reads the action 'Move down' back as 'move down'"):
        turns.trajectory([TURNS[0], Turn("assistant", "Move down")])


def test_the_date_that_a_template_prints_is_not_todays() -> None:
    assert "Today Date: 26 Jul 2024" in shipped("llama3_2").frame.opening
    assert "Current date: 2024-07-26" in shipped("gptoss").frame.opening


def test_a_digest_tells_frames_apart() -> None:
    facts = [shipped(name).frame.facts() for name in ("qwen3", "qwen3_training", "qwen2_5")]
    assert [each["thinking"] for each in facts] == [False, False, None]
    assert facts[0]["prompt_frame_sha256"] == facts[1]["prompt_frame_sha256"] != facts[2]["prompt_frame_sha256"]
