"""Checkpoints of strangers: their code never runs, and what would take for ever is refused in one line."""

import io
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases

from lmrl_data import UserError, get_task
from lmrl_eval.oracles import load_oracle
from lmrl_eval.policies import load_policy
from lmrl_eval.policies.loader import check_config, weights_digest
from lmrl_eval.policies.trial import check_template, is_harmless
from lmrl_recipes.training.offline import load_language_model

PROBE = "from pathlib import Path\nPath({path!r}).touch()\n"
CODE = {"AutoConfig": "modeling_x.C", "AutoModelForCausalLM": "modeling_x.M", "AutoModel": "modeling_x.M"}
SPIN = "{% for a in range(99999) %}" * 3 + "{% endfor %}" * 3


def change(path: Path, **values: Any) -> None:
    settings = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(settings | values))


def model_code(folder: Path) -> None:
    change(folder / "config.json", model_type="evil", auto_map=CODE)


def code_elsewhere(folder: Path) -> None:
    change(folder / "config.json", model_type="evil", auto_map={n: f"mallory/code--{c}" for n, c in CODE.items()})


def tokenizer_code(folder: Path) -> None:
    code = {"AutoTokenizer": ["modeling_x.T", "modeling_x.T"]}
    change(folder / "tokenizer_config.json", auto_map=code, tokenizer_class="Evil")


def kernel(folder: Path) -> None:
    change(folder / "config.json", attn_implementation="mallory/kernel:run")


def nested_kernel(folder: Path) -> None:
    change(folder / "config.json", text_config={"_attn_implementation": {"": "mallory/kernel"}})


def lost_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    save_file(
        {n: t for n, t in tensors.items() if "layers.0.mlp" not in n}, folder / "model.safetensors", {"format": "pt"}
    )


def weights_elsewhere(folder: Path) -> None:
    shutil.move(folder / "model.safetensors", folder.parent / "outside.safetensors")
    change(
        folder / "model.safetensors.index.json", metadata={}, weight_map={"lm_head.weight": "../outside.safetensors"}
    )


def long_config(folder: Path) -> None:
    change(folder / "config.json", padding="x" * (1 << 23))


def adapter(folder: Path, **settings: Any) -> None:
    base = folder / "base"
    base.mkdir()
    for path in folder.glob("*.*"):
        shutil.move(path, base / path.name)
    change(folder / "adapter_config.json", **{"peft_type": "LORA", "task_type": "CAUSAL_LM"} | settings)


def adapter_of_code(folder: Path) -> None:
    adapter(folder, base_model_name_or_path=str(folder / "base"), target_modules=["q_proj"])
    model_code(folder / "base")


def spinning_adapter(folder: Path) -> None:
    adapter(folder, base_model_name_or_path=str(folder / "base"), target_modules="(([a-z_.0-9]+)+)+Z")


def spinning_rank(folder: Path) -> None:
    ranks = {"(([a-z_.0-9]+)+)+Z": 2}
    adapter(folder, base_model_name_or_path=str(folder / "base"), target_modules=["q_proj"], rank_pattern=ranks)


def adapter_of_no_revision(folder: Path) -> None:
    adapter(folder, base_model_name_or_path="mallory/base", revision="../../../x", target_modules=["q_proj"])


def adapters_of_adapters(folder: Path) -> None:
    adapter(folder, base_model_name_or_path=str(folder / "base"), target_modules=["q_proj"])
    shutil.copy(folder / "adapter_config.json", folder / "base")


def pickled_adapter(folder: Path) -> None:
    adapter(folder, base_model_name_or_path=str(folder / "base"), target_modules=["q_proj"])
    (folder / "adapter_model.bin").write_bytes(b"a pickle")


def value_code(folder: Path) -> None:
    (folder / "value_model").mkdir()
    shutil.copy(folder / "config.json", folder / "value_model")
    model_code(folder / "value_model")


# What a stranger did, and a part of the line that refuses it.
HOSTILE: list[tuple[Callable[[Path], None], str]] = [
    (model_code, "is never run"),
    (code_elsewhere, "is never run"),
    (tokenizer_code, "cannot load"),
    (kernel, "is code of a repository"),
    (nested_kernel, "is code of a repository"),
    (lost_weights, "has no weights for model.layers.0.mlp"),
    (weights_elsewhere, "names the file '../outside.safetensors'"),
    (long_config, "config.json is damaged (it has more than 4,194,304 bytes)"),
    (adapter_of_code, "is never run"),
    (spinning_adapter, "is a regular expression"),
    (spinning_rank, "is a regular expression"),
    (adapter_of_no_revision, "'../../../x' is no revision"),
    (adapters_of_adapters, "holds adapters beside a model"),
    (pickled_adapter, "it has no adapter_model.safetensors"),
    (value_code, "is never run"),
]


def test_no_code_of_a_checkpoint_runs_and_no_question_is_asked(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = tmp_path / "ran"

    def check(attack: Callable[[Path], None], line: str) -> None:
        folder = Path(shutil.copytree(base, tmp_path / attack.__name__))
        (folder / "modeling_x.py").write_text(PROBE.format(path=str(probe)))
        attack(folder)
        answers = io.StringIO("y\n" * 9)
        monkeypatch.setattr("sys.stdin", answers)
        with pytest.raises(UserError) as caught:
            load_policy(str(folder), get_task("maze"), "fully_observed")
        assert line in str(caught.value), str(caught.value)
        assert "\n" not in str(caught.value)
        with pytest.raises(UserError):
            load_oracle(f"lm:{folder}", get_task("twenty_questions"))
        if attack is not value_code:  # training starts from the root
            with pytest.raises(UserError):
                load_language_model(str(folder))
        assert answers.tell() == 0, "it asked"
        assert not probe.exists(), "the code ran"

    check_cases(HOSTILE, check)


def test_a_native_model_is_played_without_the_code_that_comes_with_it(base: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(base, tmp_path / "native"))
    (folder / "modeling_x.py").write_text(PROBE.format(path=str(tmp_path / "ran")))
    change(folder / "config.json", auto_map=CODE)
    policy: Any = load_policy(str(folder), get_task("maze"), "fully_observed")
    assert type(policy.model).__name__ == "LlamaForCausalLM"
    assert not (tmp_path / "ran").exists()


def test_a_template_that_never_ends_is_refused_and_a_loop_over_the_messages_is_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from random_model import CHATML

    assert is_harmless(CHATML)
    for template in (
        SPIN,
        "{{ 'a' * 6000000000 }}",
        "{{ 'a' | center(6000000000) }}",
        "{{ lipsum(9) }}",
    ):
        assert not is_harmless(template)
    monkeypatch.setitem(check_template.__globals__, "TRIAL_SECONDS", 3)
    with pytest.raises(UserError, match="needs more than 3 s"):
        check_template(SPIN, "mallory/spin")
    monkeypatch.setitem(check_template.__globals__, "TRIAL_SECONDS", 60)  # a busy machine is slow to fill memory
    with pytest.raises(UserError, match="of memory"):
        check_template("{{ 'a' * 6000000000 }}", "mallory/large")
    with pytest.raises(UserError, match="more than 256 kB"):
        check_template("a" * 300_000, "mallory/long")


def test_weights_are_hashed_once_and_again_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hashlib import sha256

    (tmp_path / "value_model").mkdir()
    root, values = tmp_path / "model.safetensors", tmp_path / "value_model" / "model.safetensors"
    root.write_bytes(b"a" * 3)
    values.write_bytes(b"b" * 3)
    opened: list[Path] = []
    original = Path.open
    monkeypatch.setattr(Path, "open", lambda path, mode: opened.append(path) or original(path, mode))
    every = "**/*.safetensors"
    for _ in range(2):
        assert weights_digest(tmp_path) == sha256(b"model.safetensorsaaa").hexdigest()
        both = b"model.safetensorsaaavalue_model/model.safetensorsbbb"
        assert weights_digest(tmp_path, every) == sha256(both).hexdigest()
    assert weights_digest(tmp_path / "value_model") == sha256(b"model.safetensorsbbb").hexdigest()
    assert opened == [root, values, values]
    monkeypatch.undo()
    root.unlink()
    root.write_bytes(b"c" * 3)
    assert weights_digest(tmp_path) == sha256(b"model.safetensorsccc").hexdigest()


def test_a_template_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def run(*args: Any, **kwargs: Any) -> Any:
        tried.append(kwargs["input"])
        return subprocess.CompletedProcess(args, 3)

    monkeypatch.setattr(subprocess, "run", run)
    template = "{{ namespace(unique=2).unique }}"
    for _ in range(3):
        with pytest.raises(UserError, match="needs more than 4 GB of memory"):
            check_template(template, "mallory/large")
    assert tried == [template.encode()]


def pipe(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)


def device(folder: Path, name: str) -> None:
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to("/dev/zero")


HOSTILE_FILES: list[tuple[Callable[[Path], None], str]] = [
    (lambda folder: pipe(folder, "model.safetensors"), "no ordinary file"),
    (lambda folder: pipe(folder, "generation_config.json"), "no ordinary file"),
    (lambda folder: device(folder, "tokenizer.json"), "no ordinary file"),
    (lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 7 + b"\0") and None, "its header has"),
    (lambda folder: change(folder / "config.json", num_hidden_layers=10**6), "its num_hidden_layers is 1000000"),
    (lambda folder: change(folder / "config.json", vocab_size=2**40), "its vocab_size is 1099511627776"),
    (lambda folder: change(folder / "config.json", text_config={"hidden_size": -(2**30)}), "its hidden_size is -1073"),
    (lambda folder: (folder / "config.json").write_text("[" * 100_000) and None, "nested too deeply"),
    (lambda folder: (folder / "config.json").write_text(" " * (5 << 20)) and None, "more than 4,194,304 bytes"),
]


def test_no_file_of_a_checkpoint_is_waited_for_or_fills_the_memory(tmp_path: Path) -> None:
    numbers = iter(range(100))

    def check(attack: Callable[[Path], None], line: str) -> None:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "llama"}')
        attack(folder)
        with pytest.raises(UserError) as caught:
            check_config(str(folder))
        assert line in str(caught.value), str(caught.value)

    check_cases(HOSTILE_FILES, check)
