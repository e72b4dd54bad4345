"""The evaluator: the paper's protocol, the known scores of the scripted policies, and results folders."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from lmrl_data import Conversation, Policy, UserError, get_task
from lmrl_eval import Evaluator, Results, load_policy, read_results
from lmrl_eval.policies import describe_checkpoint

MAZE = get_task("maze")


class Constant(Policy):
    """Always says the same; counts how often it is asked."""

    def __init__(self, action: str, best: str | None = None) -> None:
        self.name = "constant"
        self.action = action
        self.best = best or action
        self.asked = 0

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        self.asked += len(conversations)
        return [self.action] * len(conversations)

    def greedy(self) -> Policy:
        return Constant(self.best)

    def statistics(self) -> dict[str, float]:
        return {"questions": float(self.asked)}


def evaluate(spec: str, config: str = "fully_observed", **settings: int) -> Results:
    return Evaluator().compute(load_policy(spec, MAZE, config), MAZE, config, **settings)


def test_the_optimal_policy_scores_100_fully_observed() -> None:
    score = evaluate("scripted:optimal").score
    assert score.n_episodes == 800
    assert score.mean_return == -6.84
    assert score.interval == (-6.84, -6.84)
    assert score.normalized == score.normalized_to_optimum == 100.0
    assert score.move_accuracy == 1.0
    assert score.success_rate == 1.0
    assert score.mean_turns == pytest.approx(7.84)


def test_the_optimal_policy_passes_the_papers_maximum_partially_observed() -> None:
    score = evaluate("scripted:optimal", "partially_observed").score
    assert score.mean_return == -7.24
    assert score.normalized == pytest.approx(116.17, abs=0.01)
    assert score.normalized_to_optimum == 100.0
    assert score.move_accuracy == 1.0


def test_the_random_policys_interval_covers_its_expectation() -> None:
    score = evaluate("scripted:random").score
    low, high = score.interval
    assert low < -85.89 < high
    assert 2 < high - low < 5


def test_episode_i_has_its_own_seed_and_the_starts_take_turns() -> None:
    results = evaluate("scripted:optimal", n_episodes=27, seed=2_000_100)
    starts = list(MAZE.protocol().starts)
    assert [episode.seed for episode in results.episodes] == list(range(2_000_100, 2_000_127))
    assert [episode.info["start_name"] for episode in results.episodes] == [*starts, *starts[:2]]
    assert all("start" in episode.info for episode in results.episodes)
    assert set(results.returns_by_start()) == set(starts)
    assert results.returns_by_start()["1,1"] == -11


def test_rates_count_actions_and_not_episodes() -> None:
    score = Evaluator().compute(Constant("jump"), "maze", n_episodes=25).score
    assert score.invalid_rate == pytest.approx(100 / 101)
    assert score.mean_return == -401
    assert score.mean_turns == 101


def test_move_accuracy_asks_the_greedy_policy_and_reads_it_as_the_simulator_does() -> None:
    results = Evaluator().compute(Constant("jump", best="move down\n"), MAZE, n_episodes=25)
    best = MAZE.best_actions("fully_observed")  # type: ignore[misc]
    assert results.score.move_accuracy == list(best.values()).count("move down") / 25
    assert results.greedy_actions == dict.fromkeys(MAZE.protocol().starts, "move down")


def test_move_accuracy_can_be_left_out() -> None:
    results = Evaluator().compute(Constant("jump"), MAZE, n_episodes=25, move_accuracy=False)
    assert results.score.move_accuracy is None
    assert results.greedy_actions == {}


def test_statistics_are_what_this_evaluation_added() -> None:
    policy = Constant("jump")
    first = Evaluator().compute(policy, MAZE, n_episodes=25)
    again = Evaluator().compute(policy, MAZE, n_episodes=25)
    assert first.score == again.score
    assert first.score.statistics == {"questions": 25 * 101}
    assert first.timing["questions_per_second"] == pytest.approx(first.timing["turns_per_second"])


def test_the_batch_size_does_not_change_a_seeded_policys_score() -> None:
    assert evaluate("scripted:optimal", batch_size=1).episodes == evaluate("scripted:optimal", batch_size=50).episodes


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_episodes": 0}, "has 1 to 200,000 episodes"),
        ({"n_episodes": 10**11}, "the most that can be read back; got 100,000,000,000"),
        ({"seed": -1}, "from 0"),
        ({"seed": 2**64}, "from 0"),
        ({"batch_size": 0}, "at least 1"),
    ],
)
def test_settings_out_of_range_are_refused_before_anything_is_played(settings: dict, message: str) -> None:
    policy = Constant("move up")
    with pytest.raises(UserError, match=message):
        Evaluator().compute(policy, MAZE, **settings)
    assert policy.asked == 0


def test_an_unknown_task_or_config_is_refused() -> None:
    with pytest.raises(UserError, match="unknown task 'labyrinth'"):
        Evaluator().compute(Constant(""), "labyrinth")
    with pytest.raises(UserError, match="unknown config of maze 'half'"):
        Evaluator().compute(Constant(""), "maze", "half")


# --- results folders


def test_a_results_folder_is_read_back_as_it_was(tmp_path: Path) -> None:
    results = evaluate("scripted:random", n_episodes=50)
    read = read_results(results.save(tmp_path / "a" / "b"))
    assert read.score == results.score
    assert read.episodes == results.episodes
    assert read.greedy_actions == results.greedy_actions
    assert read.timing == results.timing


def test_running_again_gives_the_same_bytes_but_for_the_timing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        evaluate("scripted:random", n_episodes=50).save(tmp_path / name)
    for name in ("score.json", "episodes.parquet", "greedy_actions.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert "second" not in (tmp_path / "one" / "score.json").read_text()


def test_episodes_have_the_columns_of_the_dataset(tmp_path: Path) -> None:
    from datasets import Dataset, Features

    from lmrl_data.rows import SCHEMA

    folder = evaluate("scripted:optimal", n_episodes=25).save(tmp_path / "r")
    rows = Dataset.from_parquet(str(folder / "episodes.parquet"), cache_dir=str(tmp_path / "cache"))
    assert rows.features == Features.from_arrow_schema(SCHEMA)
    assert rows[0]["info"]["start_name"] == "1,1"


def test_older_results_are_replaced_and_other_folders_are_not(tmp_path: Path) -> None:
    results = evaluate("scripted:optimal", n_episodes=25)
    folder = results.save(tmp_path / "r")
    (folder / "stale.txt").write_text("old")
    results.save(folder)
    assert not (folder / "stale.txt").exists()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match="holds no results"):
        results.save(tmp_path / "home")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "r"]


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = evaluate("scripted:optimal", n_episodes=25)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(UserError, match="No space left on device"):
        results.save(tmp_path / "r")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["score.json", "episodes.parquet", "greedy_actions.json", "timing.json"])
@pytest.mark.parametrize("content", [None, b"", b"{", b"PAR1\0\0PAR1", b"[1]", b"\xff"])
def test_a_damaged_or_missing_file_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = evaluate("scripted:optimal", n_episodes=25).save(tmp_path / "r") / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=name):
        read_results(tmp_path / "r")


def test_a_score_that_its_episodes_do_not_bear_out_is_refused(tmp_path: Path) -> None:
    path = evaluate("scripted:random", n_episodes=25).save(tmp_path / "r") / "score.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"mean_return": -1.0}))
    with pytest.raises(UserError, match=r"says -1.000 over 25 episodes"):
        read_results(tmp_path / "r")


# --- load_policy


def test_load_policy_names_the_scripted_policies_it_has() -> None:
    with pytest.raises(UserError, match="choose from: optimal, random"):
        load_policy("scripted:clever", MAZE, "fully_observed")


def test_a_folder_without_a_config_is_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is no checkpoint: it has no config\.json"):
        load_policy(str(tmp_path), MAZE, "fully_observed")


@pytest.mark.parametrize("spec", ["", "./nowhere", "a/b/c", "../x", "no/such\nmodel", "scripted", "\0"])
def test_a_path_that_does_not_exist_says_what_to_give(spec: str) -> None:
    with pytest.raises(UserError, match=r"give a checkpoint folder|neither a folder here nor a model|no checkpoint"):
        load_policy(spec, MAZE, "fully_observed")


@pytest.mark.parametrize("config", ["", "{}", '{"model_type": "llama"}', '{"model_type": "unheard_of"}', "[]"])
def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=r"cannot load|is damaged") as caught:
        load_policy(str(tmp_path), MAZE, "fully_observed")
    assert "\n" not in str(caught.value)


def test_beta_is_refused_where_there_are_no_values() -> None:
    with pytest.raises(UserError, match="has no beta"):
        load_policy("scripted:optimal", MAZE, "fully_observed", beta=4.0)


def test_a_script_has_no_checkpoint_to_describe() -> None:
    assert describe_checkpoint("scripted:optimal", Constant("")) is None
