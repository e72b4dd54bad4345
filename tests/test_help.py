"""The help of all commands: it fits a terminal, and every example in it is a command that parses."""

import contextlib
import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from cases import check_cases

from lmrl_data import cli, get_task
from lmrl_eval.commands import main
from lmrl_recipes import launch
from lmrl_recipes.training.start import recipe_path, split_config

APPS = {"lmrl-data": cli.app, "lmrl-eval": main.app}


def help_texts() -> Iterator[tuple[str, str]]:
    """Every command with its help, as a terminal of 80 columns shows it."""
    for program, app in APPS.items():
        command: Any = typer.main.get_command(app)
        with command.make_context(program, [], resilient_parsing=True, terminal_width=80) as context:
            yield program, command.get_help(context)
            for name, part in command.commands.items():
                with part.make_context(name, [], resilient_parsing=True, parent=context) as inner:
                    yield f"{program} {name}", part.get_help(inner)
    yield "lmrl-train", launch.HELP


def examples(text: str) -> list[list[str]]:
    joined = text.replace("\\\n", " ")
    lines = re.findall(r"^ +(lmrl-\w+ .*)$", joined.partition("xample")[2].partition("\n\n")[0], re.MULTILINE)
    return [shlex.split(line) for line in lines]


def test_no_line_is_longer_than_a_terminal_and_no_summary_is_cut() -> None:
    def check(name: str, text: str) -> None:
        assert not [line for line in text.splitlines() if len(line) > 80]
        assert "..." not in text.partition("\nCommands:\n")[2]

    check_cases(help_texts(), check)


def test_every_example_parses_and_names_what_there_is() -> None:
    texts = dict(help_texts())
    commands = [words for text in texts.values() for words in examples(text)]
    assert {f"{program} {name}" for program, name, *_ in commands} >= {name for name in texts if " " in name}

    def check(program: str, name: str, *arguments: str) -> None:
        if program == "lmrl-train":
            assert name in launch.COMMANDS
            recipe, _, _ = split_config(arguments)
            assert recipe is None or recipe.endswith(".yaml") or recipe_path(recipe, name).is_file()
            return
        command: Any = typer.main.get_command(APPS[program])
        with command.commands[name].make_context(name, list(arguments)) as context:
            values = context.params
        if not (values.get("task_id") or isinstance(values.get("task"), str)):
            return
        task = get_task(values.get("task_id") or values["task"])
        task.config(values.get("config"))
        task.protocol(values.get("protocol"))
        assert {option.partition("=")[0] for option in values.get("option") or ()} <= {*task.options}
        policy = str(values.get("policy"))
        if policy.startswith("scripted:"):
            assert policy.removeprefix("scripted:") in task.policies

    check_cases([tuple(words) for words in commands], check)


@pytest.mark.parametrize("program", [*APPS, "lmrl-train"])
def test_h_is_help(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = launch.main if program == "lmrl-train" else {"lmrl-data": cli.main, "lmrl-eval": main.main}[program]
    texts = []
    for flag in ("-h", "--help"):
        with contextlib.suppress(SystemExit):
            run([flag])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert f"{program} " in texts[0]


def test_a_shell_completes_commands_options_and_tasks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check(line: str, expected: str) -> None:
        words = line.split(" ")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        monkeypatch.setenv(f"_{words[0].replace('-', '_').upper()}_COMPLETE", "complete_bash")
        with pytest.raises(SystemExit):
            (cli if words[0] == "lmrl-data" else main).main([])
        assert expected in capsys.readouterr().out.split()

    check_cases([("lmrl-data bu", "build"), ("lmrl-data info wo", "wordle"), ("lmrl-eval run --ta", "--task")], check)
