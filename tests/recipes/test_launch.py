"""`lmrl-train`: what it launches, with which options, and what it says to a wrong command."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import forked
import pytest
from cases import check_cases

from lmrl_data.command import one_line_errors
from lmrl_recipes import launch
from lmrl_recipes.launch import COMMANDS, main, script_and_arguments
from lmrl_recipes.training import guarded
from lmrl_recipes.training.start import recipes_folder

RECIPES = recipes_folder()


def launched(*arguments: str) -> tuple[str, list[str], list[str]]:
    """The script's name, accelerate's options, and the script's arguments with paths below the recipes."""
    script, options, rest = script_and_arguments(arguments[0], arguments[1:])
    return Path(script).name, options, [argument.replace(f"{RECIPES.resolve()}/", "") for argument in rest]


def test_a_command_launches_what_the_checkout_does() -> None:
    def check(arguments: str, script: str, options: str, rest: str) -> None:
        assert launched(*arguments.split()) == (script, options.split(), rest.split())

    check_cases(
        [
            ("ilql --config maze", "ilql.py", "", "--config maze/ilql.yaml"),
            ("mc --config maze/partially_observed", "mc.py", "", "--config maze/partially_observed/mc.yaml"),
            (f"ppo --config {RECIPES}/maze/ppo.yaml", "ppo.py", "", "--config maze/ppo.yaml"),
            ("grpo --task maze --output_dir=x", "grpo.py", "", "--task maze --output_dir=x"),
            ("oracle --config twenty_questions", "oracle.py", "", "--config twenty_questions/oracle.yaml"),
            # accelerate's options stand before or after, with a value, with an equals sign, or alone.
            (
                "ilql --num_processes 2 --multi_gpu --config maze --mixed_precision=bf16 --tau 0.7",
                "ilql.py",
                "--num_processes 2 --multi_gpu --mixed_precision=bf16",
                "--config maze/ilql.yaml --tau 0.7",
            ),
            # Of the options that both know the recipe gets its own.
            (
                "ilql --config maze --gradient_accumulation_steps 2 --cpu",
                "ilql.py",
                "--cpu",
                "--config maze/ilql.yaml --gradient_accumulation_steps 2",
            ),
            (
                "mc --config_file two_cpus --config maze",
                "mc.py",
                f"--config_file {RECIPES}/accelerate/two_cpus.yaml",
                "--config maze/mc.yaml",
            ),
            # BC is trl sft, and filtered BC of all episodes where a recipe or the preset says so.
            ("bc --config maze", "sft.py", "", "--config maze/bc.yaml"),
            ("bc --config wordle", "filtered_bc.py", "", "--config wordle/bc.yaml"),
            ("bc --config wordle --preset paper", "filtered_bc.py", "", "--config wordle/bc.yaml --preset paper"),
            (
                "bc --config text_nav --preset paper",
                "filtered_bc.py",
                "",
                "--config text_nav/bc.yaml --preset paper --filter all",
            ),
        ],
        check,
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["train"], "unknown command 'train'; choose from: bc, filtered_bc"),
        (["ilql", "--config", "mazes"], "--config mazes: there is no such file; tasks are: car_dealer"),
        (["ilql", "--config"], "--config needs the path of a YAML file or the name of a task"),
        (["ilql", "--config", "maze", "--num_processes"], "--num_processes needs a value"),
        (["ilql", "--config", "maze", "--num_processes", "many"], "invalid int value: 'many'"),
        (["ilql", "--cpu", "--multi_gpu"], "You can only use one of"),
        (["quickstart", "chest"], "unknown quickstart 'chest'; choose from: car_dealer, chess"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert complaint in line


def test_help_names_all_commands_and_gives_examples(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], []):
        main(arguments)
        text = capsys.readouterr().out
        assert all(f"  {name} " in text for name in COMMANDS)
        assert "lmrl-train ilql --config maze\n" in text


def test_the_help_of_a_recipe_lists_its_tasks_and_settings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["lmrl-train"])
    with pytest.raises(SystemExit) as end:
        main(["mc", "--help"])
    assert not end.value.code
    text = capsys.readouterr().out
    assert "maze, maze/partially_observed" in text
    assert "--cql_weight" in text


def test_bars_are_off_where_the_output_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for is_terminal, expected in ((True, None), (False, "1")):
        monkeypatch.delenv("TQDM_DISABLE", raising=False)
        monkeypatch.setattr("sys.stderr.isatty", lambda is_terminal=is_terminal: is_terminal)
        launch.silence_bars()
        assert os.environ.get("TQDM_DISABLE") == expected
    monkeypatch.setenv("TQDM_DISABLE", "0")
    launch.silence_bars()
    assert os.environ["TQDM_DISABLE"] == "0"


@pytest.mark.slow
def test_ctrl_c_is_one_line_while_modules_are_imported_and_a_second_one_is_silent(tmp_path: Path) -> None:
    (tmp_path / "slow_command.py").write_text(
        "import sys, threading, time\n"
        "print('begun', flush=True)\n"
        "if sys.argv[1] == 'import': time.sleep(60)\n"
        "def main():\n"
        "    threading.Thread(target=time.sleep, args=[60]).start()\n"
        "    print('interrupted', file=sys.stderr)\n"
        "    sys.exit(130)\n"
    )
    script = "from lmrl_recipes import entry; entry.run('slow_command')"
    for phase in ("import", "end"):
        running = subprocess.Popen(
            [sys.executable, "-c", script, phase], cwd=tmp_path, text=True, stdout=-1, stderr=-1,
        )  # fmt: skip
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        time.sleep(0.5)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
        assert (running.returncode, errors) == (130, "interrupted\n"), phase


@pytest.mark.slow
def test_an_error_of_trl_sft_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    command = ["-m", "lmrl_recipes.launch", "bc", "--config", "maze", "--learning_rate", "-1"]
    done = forked.run(command, folder=tmp_path, output=tmp_path / "log")
    assert (done.returncode, done.stderr) == (2, "error: learning_rate is at least 0, got -1.0\n")


def test_an_unbuilt_dataset_names_the_command_that_builds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def check(error: Exception, line: str) -> None:
        with pytest.raises(SystemExit) as end, one_line_errors():
            guarded.end_with(error)
        assert end.value.code == 2
        assert capsys.readouterr().err == f"error: {line}\n"

    missing = "Couldn't reach 'lmrl/text_nav' on the Hub"
    check_cases(
        [
            (ConnectionError(missing), f"{missing}; run: lmrl-data build text_nav"),
            (ValueError(missing), f"{missing}; run: lmrl-data build text_nav"),
            (FileNotFoundError(2, "No such file", "x.yaml"), "No such file: x.yaml"),
            (ValueError("another\nerror"), "another error"),
        ],
        check,
    )


def test_ctrl_c_during_the_imports_of_a_script_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = tmp_path / "recipe.py"
    script.write_text("import sys\nassert sys.argv[1:] == ['--a']\nraise KeyboardInterrupt\n")
    monkeypatch.setattr("sys.argv", ["guarded.py", str(script), "--a"])
    monkeypatch.setattr("sys.path", list(sys.path))
    with pytest.raises(SystemExit) as end:
        guarded.main()
    assert end.value.code == 130
    assert capsys.readouterr().err == "\ninterrupted\n"
