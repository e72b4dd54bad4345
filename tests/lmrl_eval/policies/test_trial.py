"""What takes all time or memory in a tokenizer is refused in one line; what honest ones have is tried and passes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases
from tokenizer_kinds import KINDS

from lmrl_data import UserError
from lmrl_data.command import one_line_errors
from lmrl_eval.policies.loader import load_tokenizer
from lmrl_eval.policies.trial import check_template, check_tokenizer, is_simple

pytestmark = pytest.mark.slow

SPIN = {"Regex": "(([a-z. ]+)+)+Z"}
GROW = {"type": "Replace", "pattern": {"Regex": "."}, "content": "a" * 10}
PADDING = {"direction": "Right", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "a"}


def flood(tokenizer: Any) -> dict[str, Any]:
    token = {"id": "<flood>", "ids": [0], "tokens": ["a"]}
    single = [{"SpecialToken": {"id": "<flood>", "type_id": 0}}] * 100_000 + [{"Sequence": {"id": "A", "type_id": 0}}]
    return {"type": "TemplateProcessing", "single": single, "pair": single[-1:], "special_tokens": {"<flood>": token}}


# What a stranger put into a tokenizer.json: the name of a part, and what it becomes.
HOSTILE: list[tuple[str, Callable[[Any], Any]]] = [
    ("pre_tokenizer", lambda t: {"type": "Split", "pattern": SPIN, "behavior": "Isolated", "invert": False}),
    ("normalizer", lambda t: {"type": "Replace", "pattern": SPIN, "content": "x"}),
    ("normalizer", lambda t: {"type": "Sequence", "normalizers": [GROW] * 9}),
    ("normalizer", lambda t: {"type": "Prepend", "prepend": "a" * 1_000_000}),
    ("decoder", lambda t: {"type": "Sequence", "decoders": [t["decoder"], *[GROW] * 9]}),
    ("post_processor", flood),
    ("padding", lambda t: {"strategy": {"Fixed": 2_000_000_000}} | PADDING),
    ("normalizer", lambda t: {"type": "None such"}),
    ("model", lambda t: {"type": ["BPE"]}),
]


def test_no_tokenizer_takes_all_time_or_memory(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(check_tokenizer.__globals__, "TOKENIZER_SECONDS", 2)
    honest = json.loads((base / "tokenizer.json").read_text())
    path = tmp_path / "tokenizer.json"

    def check(part: str, attack: Callable[[Any], Any]) -> None:
        path.write_text(json.dumps(honest | {part: attack(honest)}))
        assert not is_simple(path)
        with pytest.raises(UserError, match="its tokenizer fails on a plain text, or needs more than"):
            check_tokenizer(path, "mallory/tokens")

    check_cases(HOSTILE, check)
    with path.open("r+b") as file:
        file.truncate(100 << 20)
    with pytest.raises(UserError, match="more than any model's"):
        check_tokenizer(path, "mallory/tokens")


def test_the_other_files_of_a_tokenizer_are_small(base: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_bytes((base / name).read_bytes())

    def check(name: str) -> None:
        (tmp_path / name).write_text(json.dumps({"a": "b" * (5 << 20)}))
        with pytest.raises(UserError, match=f"{name} is damaged .it has more than 4,194,304 bytes"):
            load_tokenizer(tmp_path)
        (tmp_path / name).unlink()

    check_cases(["special_tokens_map.json", "added_tokens.json", "tokenizer_config.json"], check)


def test_tokenizers_as_models_have_them_pass(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"

    def check(kind: str, simple: bool) -> None:
        path.write_text(KINDS[kind][0]().to_str())
        assert is_simple(path) == simple
        check_tokenizer(path, kind)

    check_cases([("gpt2", True), ("llama3", False), ("llama2", False), ("unigram_with_lines", True)], check)
    assert is_simple(base / "tokenizer.json")


def test_a_trial_runs_no_code_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("resource", "tokenizers", "transformers"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokenizer.json").write_text(KINDS["llama3"][0]().to_str())
    check_tokenizer(tmp_path / "tokenizer.json", "here")
    check_template("{{ messages | length }}", "here")
    assert not (tmp_path / "ran").exists()


def test_a_library_in_rust_that_stops_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    class PanicException(BaseException):
        pass

    with pytest.raises(SystemExit) as caught, one_line_errors():
        raise PanicException("Onig: Regex search error: retry-limit-in-match over")
    assert caught.value.code == 2
    assert capsys.readouterr().err == "error: a library stopped: Onig: Regex search error: retry-limit-in-match over\n"
