"""`lmrl-eval`: what it writes, and that each mistake is one line and exit code 2."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model with random weights that knows the maze's words, as `save_pretrained` writes it."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    text = "The goal is at position Your current There are walls to your wall move up down left right"
    words = ["<|end|>", "\n", *text.split()]
    words += ["a", "above", "below", "you", "near", "no", "Success", "Failure", ".", ",", " ", *"0123456789"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(dict.fromkeys(words))}, "<|end|>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"\w+|[^\w]"), "isolated")
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(fast),
            hidden_size=16,
            intermediate_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=256,
        )
    )
    folder = tmp_path_factory.mktemp("runs") / "bc-tiny"
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def score(folder: str) -> dict[str, Any]:
    return json.loads(Path(folder, "score.json").read_text())


def test_run_writes_a_results_folder_and_prints_the_score(lmrl_eval: Run) -> None:
    code, out, errors = lmrl_eval("run", "--task", "maze", "--policy", "scripted:optimal")
    folder = "results/maze-fully_observed-scripted_optimal"
    assert code == 0
    assert "| scripted:optimal | 100.0 ± 0.0 | 100.0 | -6.84 ± 0.00 | 100.0% | 7.8 | 0.0% | 100.0% | 800 |" in out
    assert f"wrote {folder}" in out
    assert all(" of 800 episodes (" in line for line in errors.splitlines())  # progress, where it takes a while
    assert score(folder)["normalized"] == 100.0
    assert sorted(path.name for path in Path(folder).iterdir()) == [
        "episodes.parquet", "greedy_actions.json", "score.json", "timing.json",
    ]  # fmt: skip


def test_options_reach_the_score(lmrl_eval: Run) -> None:
    code, _, _ = lmrl_eval(
        "run", "--task", "maze", "--config", "partially_observed", "--policy", "scripted:random", "--episodes", "30",
        "--seed", "2000500", "--policy-seed", "9", "--out", "deep/er",
    )  # fmt: skip
    values = score("deep/er")
    assert code == 0
    assert (values["config"], values["n_episodes"], values["seed"], values["policy_seed"]) == (
        "partially_observed", 30, 2_000_500, 9,
    )  # fmt: skip


def test_a_report_over_several_results(lmrl_eval: Run) -> None:
    for name, spec in (("a", "scripted:optimal"), ("b", "scripted:random")):
        lmrl_eval("run", "--task", "maze", "--policy", spec, "--episodes", "25", "--out",
                  f"results/{name}")  # fmt: skip
    code, out, _ = lmrl_eval("report", "results/a", "results/b", "results/a", "--out", "made")
    assert code == 0
    assert out.index("scripted:optimal") < out.index("scripted:random")
    page = Path("made/report.md").read_text()
    assert "    lmrl-eval report results/a results/b results/a --out made" in page
    assert sorted(path.name for path in Path("made").iterdir()) == [
        "report.md", "scores.png", "starts-a-2.png", "starts-a.png", "starts-b.png",
    ]  # fmt: skip


def test_a_report_skips_what_holds_no_results_and_looks_below(lmrl_eval: Run) -> None:
    for name in ("maze/random", "maze/bc", "top", "maze/.hidden"):
        lmrl_eval(
            "run", "--task", "maze", "--policy", "scripted:random", "--episodes", "2", "--out", f"results/{name}"
        )
    for name in ("oracle", "maze/report", "other.partial"):
        Path("results", name).mkdir()
    Path("results/notes.txt").touch()
    code, out, errors = lmrl_eval("report", *sorted(map(str, Path("results").iterdir())), "--out", "results/report")
    assert (code, out.count("| scripted:random |")) == (0, 3)
    assert errors == ("skipped (no results in it): results/notes.txt, results/oracle, results/other.partial\n")
    assert lmrl_eval("report", "results", "--out", "results/report")[0] == 0
    for path, message in (
        ("results/oracle", "results/oracle holds no results (no score.json)"),
        ("results/maz", "there is no results/maz; give a folder that `lmrl-eval run` wrote, or one above it"),
    ):
        code, out, errors = lmrl_eval("report", path)
        assert (code, out) == (2, "")
        assert errors.startswith(f"error: {message}")


def test_actions_may_be_piped_in(lmrl_eval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first two starts are 1,1 and 1,2.
    moves = ["move right"] * 2 + ["move down"] * 4 + ["move right"] * 3 + ["move down"] * 3
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(["Move right!", *moves, *moves[1:]]) + "\n"))
    code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", "human", "--episodes", "2")
    values = score("results/maze-fully_observed-human")
    assert code == 0
    assert "Your current position is at position 1, 2." in errors
    assert values["mean_return"] == (-4 - 11 - 10) / 2
    assert values["invalid_rate"] == 1 / 24
    assert values["move_accuracy"] is None


def test_piped_actions_that_run_out_leave_nothing(lmrl_eval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("move up\n"))
    code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", "human", "--episodes", "2")
    assert code == 2
    assert errors.endswith("error: the input ended before the episode did; give one action a line\n")
    assert list(Path().iterdir()) == []


RUN = ("run", "--task", "maze", "--policy", "scripted:optimal")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--task", "mazes", "--policy", "human"), "unknown task 'mazes'; choose from: maze"),
        ((*RUN, "--config", "half"), "unknown config of maze 'half'; choose from: fully_observed, partially_observed"),
        ((*RUN, "--policy", "scripted:best"), "unknown scripted policy of maze 'best'"),
        ((*RUN, "--policy", "."), ". is no checkpoint: it has no config.json"),
        ((*RUN, "--policy", "./gone"), "./gone does not exist"),
        ((*RUN, "--policy", ""), "an empty name is no checkpoint"),
        (
            (*RUN, "--temperature", "0"),
            "--temperature is for a language model as policy; with",
        ),
        ((*RUN, "--max-new-tokens", "8"), "--max-new-tokens is for a language model"),
        ((*RUN, "--device", "cuda"), "--device is for a checkpoint, or an oracle lm:FOLDER"),
        ((*RUN, "--oracle-seed", "1"), "--oracle-seed is for a model as --oracle"),
        ((*RUN, "--policy", "human", "--policy-seed", "1"), "--policy-seed is for a policy that draws random numbers"),
        ((*RUN, "--policy-seed", "-1"), "Invalid value for '--policy-seed'"),
        ((*RUN, "--option", "start=[1,1]"), "the protocol paper of maze sets start itself"),
        ((*RUN, "--policy", "random"), "random is a scripted policy of maze; write scripted:random"),
        ((*RUN, "--episodes", "0"), "an evaluation has 1 to 200,000 episodes"),
        ((*RUN, "--episodes", "many"), "Invalid value for '--episodes'"),
        ((*RUN, "--seed", "-1"), "a seed is a number from 0"),
        ((*RUN, "--batch-size", "0"), "the batch size is at least 1"),
        ((*RUN, "--beta", "4"), "scripted:optimal has no beta"),
        ((*RUN, "--beta", "0,x"), "a beta is a number from 0 up, got 'x'"),
        ((*RUN, "--beta", "nan"), "a beta is a number from 0 up, got 'nan'"),
        ((*RUN, "--out", "taken"), "taken exists and holds no results"),
        ((*RUN, "--out", "taken/file/below"), "cannot write results to taken/file/below"),
        ((*RUN, "--out", "x" * 300), "File name too long"),
        ((*RUN, "--policy", "x" * 5_000), "File name too long"),
        ((*RUN, "--bata", "4"), "No such option: --bata"),
        (("run", "--task", "maze"), "Missing option '--policy'"),
        (("score",), "No such command 'score'"),
        (("report",), "Missing argument 'results'"),
        (("report", "gone"), "there is no gone; give a folder"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(lmrl_eval: Run, arguments: tuple[str, ...], message: str) -> None:
    Path("taken").mkdir()
    Path("taken/file").write_text("")
    code, out, errors = lmrl_eval(*arguments)
    assert code == 2
    assert out == ""
    assert errors.startswith("error: ")
    assert message in errors
    assert len(errors.splitlines()) == 1
    assert list(Path().iterdir()) == [Path("taken")]


@pytest.mark.parametrize("missing", ["torch", "transformers"])
def test_a_missing_extra_says_how_to_install_it(
    lmrl_eval: Run, checkpoint: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("lmrl_eval.policies.l")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", str(checkpoint))
    assert (code, errors) == (2, f'error: {missing} is not installed; run: pip install "lmrl[eval]"\n')


def test_a_missing_matplotlib_says_how_to_install_it(lmrl_eval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    lmrl_eval(*RUN, "--episodes", "25", "--out", "r")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    code, _, errors = lmrl_eval("report", "r")
    assert code == 2
    assert "run: pip install 'lmrl[eval]'" in errors


def test_help_has_examples_and_needs_no_torch() -> None:
    script = (
        "import sys; from lmrl_eval.commands.main import main\n"
        "try: main(['run', '--help'])\n"
        "finally: assert not {'torch', 'transformers', 'datasets', 'matplotlib'} & set(sys.modules), 'heavy'"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "Examples:\n  lmrl-eval run --task maze" in done.stdout.replace("    ", "  ")


def test_ctrl_c_ends_with_130_and_leaves_nothing(tmp_path: Path) -> None:
    script = "from lmrl_eval.commands.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "run", "--task", "maze", "--policy", "human"],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    # The first prompt: an episode is being played.
    while b">" not in process.stderr.read(1):
        time.sleep(0)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in errors
    assert errors.endswith(b"interrupted\n")
    assert os.listdir(tmp_path) == []


# --- checkpoints


def test_a_checkpoint_is_scored_and_described(lmrl_eval: Run, checkpoint: Path) -> None:
    arguments = ("run", "--task", "maze", "--policy", str(checkpoint), "--episodes", "6", "--max-new-tokens", "4")
    for name in ("one", "two"):
        code, out, _ = lmrl_eval(*arguments, "--out", name)
        assert code == 0
        assert "| bc-tiny |" in out
    values = score("one")
    facts = {"source", "weights_sha256", "parameters", "temperature", "beta", "max_new_tokens"}
    assert values["checkpoint"].keys() == facts | {"prompt_frame_sha256", "thinking"}
    assert values["checkpoint"]["max_new_tokens"] == 4
    assert values["statistics"]["tokens_written"] > 0
    for name in ("score.json", "episodes.parquet", "greedy_actions.json"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes()


def test_another_policy_seed_gives_another_score(lmrl_eval: Run, checkpoint: Path) -> None:
    arguments = ("run", "--task", "maze", "--policy", str(checkpoint), "--episodes", "6", "--max-new-tokens", "4")
    for seed in ("0", "1"):
        lmrl_eval(*arguments, "--policy-seed", seed, "--out", seed)
    assert Path("0/episodes.parquet").read_bytes() != Path("1/episodes.parquet").read_bytes()
    assert Path("0/greedy_actions.json").read_bytes() == Path("1/greedy_actions.json").read_bytes()


def test_an_adapter_plays_merged_into_its_base(lmrl_eval: Run, checkpoint: Path, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(checkpoint)
    settings = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=True)
    get_peft_model(base, settings).save_pretrained(tmp_path / "lora")
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(tmp_path / "lora")
    arguments = ("run", "--task", "maze", "--episodes", "6", "--max-new-tokens", "4")
    assert lmrl_eval(*arguments, "--policy", "lora", "--out", "a")[0] == 0
    assert lmrl_eval(*arguments, "--policy", str(checkpoint), "--out", "b")[0] == 0
    # A fresh adapter changes nothing, so the two play alike.
    assert score("a")["mean_return"] == score("b")["mean_return"]
    assert score("a")["policy"] == "lora"


def test_weights_that_are_pickles_are_refused(lmrl_eval: Run, checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file

    folder = shutil.copytree(checkpoint, tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", "pickled")
    assert code == 2
    assert errors.startswith("error: cannot load pickled: ")
    assert len(errors.splitlines()) == 1


def test_a_truncated_weights_file_is_one_line(lmrl_eval: Run, checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    folder = shutil.copytree(checkpoint, tmp_path / "cut")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", "cut")
    assert code == 2
    assert errors.startswith("error: cannot load cut: ")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--temperature", "-1"), "temperature"),
        (("--max-new-tokens", "0"), "token"),
        (("--beta", "2"), "has no beta: it has no value_model/"),
        (("--device", "abacus"), "cannot load"),
    ],
)
def test_a_setting_that_a_model_cannot_take_is_one_line(
    lmrl_eval: Run, checkpoint: Path, option: tuple[str, str], message: str
) -> None:
    code, _, errors = lmrl_eval("run", "--task", "maze", "--policy", str(checkpoint), *option)
    assert code == 2
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_a_sweep_over_beta_makes_a_folder_and_a_row_each(lmrl_eval: Run, checkpoint: Path, tmp_path: Path) -> None:
    import shutil

    import torch

    from lmrl_eval.policies.value_guided import new_value_model, save_value_model

    folder = shutil.copytree(checkpoint, tmp_path / "ilql-tiny")
    values = new_value_model(str(checkpoint), ("q1", "q2", "v"))
    torch.manual_seed(1)
    torch.nn.init.normal_(values.q1.output.weight)
    torch.nn.init.normal_(values.q2.output.weight)
    values.config.beta = 8.0
    save_value_model(values, folder)
    arguments = ("run", "--task", "maze", "--policy", "ilql-tiny", "--episodes", "6", "--max-new-tokens", "4")
    code, out, errors = lmrl_eval(*arguments, "--beta", "0,4", "--beta", "4", "--out", "sweep")
    assert code == 0, errors
    names = ["ilql-tiny_beta=0", "ilql-tiny_beta=4"]
    assert sorted(path.name for path in Path("sweep").iterdir()) == names
    assert [score(f"sweep/{name}")["checkpoint"]["beta"] for name in names] == [0.0, 4.0]
    assert out.count("| ilql-tiny (beta=") == 2
    # Without values in play, the policy is the behaviour model.
    lmrl_eval(*arguments[:4], str(checkpoint), *arguments[5:], "--out", "bc")
    assert score("sweep/ilql-tiny_beta=0")["mean_return"] == score("bc")["mean_return"]
    # The recipe's own beta, where none is given.
    assert lmrl_eval(*arguments)[0] == 0
    assert score("results/maze-fully_observed-ilql-tiny_beta=8")["checkpoint"]["beta"] == 8.0


def test_a_checkpoint_of_another_config_or_version_is_scored_with_a_warning_and_a_mark(
    lmrl_eval: Run, checkpoint: Path, tmp_path: Path
) -> None:
    import shutil

    from lmrl_eval.training_record import TrainingRecord

    folder = shutil.copytree(checkpoint, tmp_path / "bc")
    arguments = ("--policy", "bc", "--episodes", "2", "--max-new-tokens", "2", "--protocol", "quick")
    for name, version, revision, config, trained_for in (
        ("same", "1.0.0", "v1.0.0", "fully_observed", None),
        ("config", "1.0.0", None, "partially_observed", "maze fully_observed"),
        ("version", "0.9.0", None, "fully_observed", "maze fully_observed, version 0.9.0"),
        ("build", "1.0.0", "v0.9.0", "fully_observed", "maze fully_observed, version 0.9.0"),
    ):
        record = TrainingRecord("maze", version, "fully_observed", "bc", None, "lmrl/maze", revision)
        (folder / "training.json").write_text(record.to_json())
        code, out, errors = lmrl_eval("run", "--task", "maze", "--config", config, *arguments, "--out", name)
        assert code == 0, errors
        played = f"maze {config}" + (", version 1.0.0" if "0.9.0" in str(trained_for) else "")
        assert (f"warning: bc was trained for {trained_for}, not for {played}\n" in errors) == bool(trained_for)
        assert score(name)["checkpoint"].get("trained_for") == trained_for
        assert (f"trained for {trained_for}" in " ".join(out.split())) == bool(trained_for)
