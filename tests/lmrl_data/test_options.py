"""Reset options on the command line, and on their way to the simulator."""

import dataclasses
import json

import pytest

from lmrl_data import UserError, cli, get_task
from lmrl_data.dataset.build import build_dataset
from lmrl_data.dataset.folder import load_episodes
from lmrl_data.options import parse_options
from lmrl_eval.commands.main import main as evaluate
from lmrl_eval.evaluator import Evaluator

MAZE = get_task("maze")


def test_values_are_json_where_they_can_be():
    given = ["start=[1, 11]", "layout=umaze", "elo=1200", "strict=true", "word=a=b", "empty="]
    assert parse_options(given) == {
        "start": [1, 11], "layout": "umaze", "elo": 1200, "strict": True, "word": "a=b", "empty": ""
    }  # fmt: skip


@pytest.mark.parametrize("given", [["layout"], ["=umaze"], [""], ["a=1", "a=2"]])
def test_what_is_no_option_is_refused(given):
    with pytest.raises(UserError):
        parse_options(given)


def test_a_simulators_own_options_hold_for_every_reset_unless_reset_has_others():
    simulator = MAZE.simulator(options={"layout": "umaze", "start": "far_left"})
    for _ in range(2):
        assert simulator.reset(seed=0)[1]["start"] == [3, 1]
    assert simulator.reset(seed=0, options={"start": [1, 1]})[1]["start"] == [1, 1]


def test_a_build_keeps_its_options_and_is_made_again_when_they_change(tmp_path):
    folder = build_dataset(MAZE, "fully_observed", 3, output_dir=tmp_path, options={"reward": "illegal_penalty"})
    assert json.loads((folder / "manifest.json").read_text())["options"] == {"reward": "illegal_penalty"}
    assert "`reward=illegal_penalty`" in (folder / "README.md").read_text()
    assert {turn.reward for e in load_episodes(folder, "fully_observed") for turn in e.turns} <= {0.0, 1.0}
    with pytest.raises(UserError, match="--overwrite"):
        build_dataset(MAZE, "fully_observed", 3, output_dir=tmp_path)
    build_dataset(MAZE, "fully_observed", 3, output_dir=tmp_path, overwrite=True)
    assert "options" not in json.loads((folder / "manifest.json").read_text())
    assert any(turn.reward == -1 for e in load_episodes(folder, "fully_observed") for turn in e.turns)


def test_play_takes_options(monkeypatch, capsys):
    monkeypatch.setattr("builtins.input", lambda prompt: (_ for _ in ()).throw(EOFError))
    cli.app(["play", "maze", "--option", "layout=umaze", "--start", "far_left"], standalone_mode=False)
    assert capsys.readouterr().out.count("\n█") < 8


def test_an_unknown_option_is_one_line_and_nothing_is_written(capsys, tmp_path):
    with pytest.raises(SystemExit) as end:
        cli.main(["build", "maze", "--episodes", "2", "--option", "wall=no", "--out", str(tmp_path / "new")])
    assert end.value.code == 2
    assert not (tmp_path / "new").exists()
    assert "unknown reset option of maze 'wall'" in capsys.readouterr().err


# --- protocols


def test_a_protocol_sets_starts_and_episodes_and_is_named_in_the_score():
    policy = MAZE.policy("optimal", "fully_observed")
    results = Evaluator().compute(policy, MAZE, protocol="quick", n_resamples=10)
    assert (results.score.protocol, results.score.n_episodes) == ("quick", 100)
    assert results.score.options == {}


def test_options_reach_the_simulator_and_stand_in_the_score():
    policy = MAZE.policy("random", "fully_observed")
    options = {"reward": "illegal_penalty"}
    results = Evaluator().compute(policy, MAZE, n_episodes=25, options=options, n_resamples=10)
    assert results.score.options == options
    # A move costs nothing in this mode; the 101st action still costs 1.
    assert {episode.total_reward for episode in results.episodes} <= {-1.0, 1.0}


def test_an_unknown_protocol_is_one_line_that_lists_them(capsys):
    with pytest.raises(SystemExit) as end:
        evaluate(["run", "--task", "maze", "--policy", "scripted:optimal", "--protocol", "long"])
    assert end.value.code == 2
    assert "unknown protocol of maze 'long'; choose from: paper, quick" in capsys.readouterr().err


def test_the_first_protocol_is_the_papers():
    with pytest.raises(ValueError, match="first protocol"):
        dataclasses.replace(MAZE, protocols={"quick": MAZE.protocols["quick"]})
