"""Verification by replay: what was played as told passes, and whatever was changed afterwards does not."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cases import check_cases
from fake_server import FakeServer, completion
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from published_score import check_printable
from toy_dialogue import TASK as TOY
from toy_dialogue import Asker, Scripted

import lmrl_data.tasks
from lmrl_data import Conversation, Policy, UserError, get_task
from lmrl_data.episode import Episode, Turn
from lmrl_data.tasks import TASKS
from lmrl_data.tasks.chess.engine import find_engine, shared_pool
from lmrl_data.tasks.maze.grid import ACTIONS, grid
from lmrl_eval import Evaluator, Results, load_oracle, read_results
from lmrl_eval.score import departures, oracle_counts, score_episodes
from lmrl_eval.verify import MAX_PROBLEMS, NUMBERS, Verification, describe, verify_results

pytestmark = pytest.mark.slow

PLAYERS = [
    ("maze", "fully_observed", "random"), ("maze", "partially_observed", "optimal"),
    ("wordle", "words_200", "mixture"), ("wordle", "full", "random"),
    ("text_nav", "fully_observed", "far_rooms"), ("text_nav", "partially_observed", "random"),
    ("endgames", "standard", "optimal"), ("endgames", "standard", "random"),
    ("twenty_questions", "standard", "expert"),
    ("guess_my_city", "standard", "noisy"), ("guess_my_city", "extended", "random"),
    ("car_dealer", "revenue", "reader"), ("car_dealer", "fancy", "random"),
]  # fmt: skip


def play(task: str, config: str | None = None, policy: str | Policy = "random", **settings: Any) -> Results:
    chosen = get_task(task)
    player = chosen.policy(policy, config or chosen.default_config) if isinstance(policy, str) else policy
    settings = {"n_episodes": 12, "n_resamples": 50, "move_accuracy": False} | settings
    return Evaluator().compute(player, chosen, config, **settings)


def needs_engine() -> None:
    try:
        find_engine()
    except UserError as error:
        pytest.skip(str(error))


class Says(Policy):
    """Always says the same."""

    name = "says"

    def __init__(self, text: str) -> None:
        self.text = text

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self.text] * len(conversations)


# --- what was played as told


def test_every_task_is_among_the_players() -> None:
    assert {task for task, _, _ in PLAYERS} | {"chess"} == set(TASKS)


@pytest.mark.parametrize(("task", "config", "policy"), PLAYERS)
def test_what_a_scripted_policy_played_is_verified(tmp_path: Path, task: str, config: str, policy: str) -> None:
    results = play(task, config, policy)
    for what in (results, results.save(tmp_path / "r"), str(tmp_path / "r")):
        assert verify_results(what) == Verification("verified", (), 12, 12, results.score)


def test_chess_is_verified_move_by_move() -> None:
    needs_engine()
    results = play("chess", policy="random", n_episodes=2)
    shared_pool().cache.clear()
    assert verify_results(results) == Verification("verified", (), 2, 2, results.score)
    forged = edit(results, 1, lambda each: replace(each, info=each.info | {"engine": "Stockfish 99"}))
    assert verify_results(forged).status == "flagged"


@pytest.mark.parametrize("text", ["", "\n", "move up\n", "move up\n\n", "\r\n\n", "héllo \ud800", "x" * 100_000])
def test_odd_actions_are_replayed_as_they_were_read(tmp_path: Path, text: str) -> None:
    results = play("maze", policy=Says(text), n_episodes=2)
    assert verify_results(results.save(tmp_path / "r")).status == "verified"


def test_options_and_protocols_are_part_of_what_is_verified() -> None:
    results = play("endgames", policy="optimal", protocol="tricky", options={"opponent": "errant"}, seed=5)
    found = verify_results(results)
    assert (found.status, found.problems) == ("verified", ())
    assert departures(results.score) == [
        "protocol tricky, not paper", "12 episodes, not 645", "seeds from 5, not from 2000000",
        "interval of 95% from 50 resamples", 'option opponent="errant"',
    ]  # fmt: skip
    assert all(f"not as in the paper: {each}" in describe(found) for each in departures(results.score))
    for options in ({}, {"opponent": "tables"}, {"opponent": "errant", "pieces": "kQK"}):
        assert verify_results(replace(results, score=replace(results.score, options=options))).status != "verified"


def test_a_whole_protocol_departs_from_nothing() -> None:
    found = verify_results(play("maze", policy="optimal", n_episodes=None, n_resamples=9999))
    assert describe(found).splitlines() == [
        "verified: 800 episodes of maze fully_observed replayed, every observation and reward is the same",
        "mean return -6.84 (-6.84 to -6.84), normalized 100.0, seeds 2000000 to 2000799",
        "not checked: who chose the actions (policy, checkpoint) and move accuracy",
    ]


# --- what was changed afterwards


def edit(results: Results, index: int, change: Callable[[Episode], Episode]) -> Results:
    episodes = [change(each) if i == index else each for i, each in enumerate(results.episodes)]
    return replace(results, episodes=episodes)


def with_turn(episode: Episode, place: int, turn: Turn) -> Episode:
    return replace(episode, turns=(*episode.turns[:place], turn, *episode.turns[place + 1 :]))


def with_info(episode: Episode, **values: Any) -> Episode:
    return replace(episode, info=episode.info | values)


def change_reward(episode: Episode, data: st.DataObject) -> Episode:
    place = data.draw(st.sampled_from(range(1, len(episode.turns), 2)))
    turn = episode.turns[place]
    return with_turn(episode, place, replace(turn, reward=data.draw(st.floats().filter(lambda x: x != turn.reward))))


def change_action(episode: Episode, data: st.DataObject) -> Episode:
    """Another move, which leads elsewhere. What is said after the hundredth move has no effect, and is free."""
    place = data.draw(st.sampled_from(range(1, min(len(episode.turns), 200), 2)))
    turn, cell = episode.turns[place], tuple(episode.info["start"])
    for said in episode.turns[1:place:2]:
        cell = grid().moves[cell][said.content]
    other = data.draw(st.sampled_from(list(ACTIONS)))
    assume(grid().moves[cell][other] != grid().moves[cell][turn.content])
    return with_turn(episode, place, replace(turn, content=other))


def change_text(episode: Episode, data: st.DataObject) -> Episode:
    place = data.draw(st.sampled_from(range(0, len(episode.turns), 2)))
    text = episode.turns[place].content
    spot, letter = data.draw(st.integers(0, len(text) - 1)), data.draw(st.sampled_from("aZ1 .é\n"))
    assume(text[spot] != letter)
    return with_turn(episode, place, Turn("user", text[:spot] + letter + text[spot + 1 :]))


def change_info(episode: Episode, data: st.DataObject) -> Episode:
    name = data.draw(st.sampled_from(sorted(episode.info)))
    value: Any = data.draw(st.sampled_from([None, True, False, 1, 0, 1.0, "1,2", [1, 1], {}]))
    assume(json.dumps(value) != json.dumps(episode.info[name]))
    return with_info(episode, **{name: value})


def change_order(episode: Episode, data: st.DataObject) -> Episode:
    """Two texts of the simulator change places."""
    places = st.sampled_from(range(0, len(episode.turns), 2))
    first, second = data.draw(places), data.draw(places)
    assume(episode.turns[first] != episode.turns[second])
    return with_turn(with_turn(episode, first, episode.turns[second]), second, episode.turns[first])


def drop_info(episode: Episode, data: st.DataObject) -> Episode:
    dropped = data.draw(st.sampled_from(sorted(episode.info)))
    return replace(episode, info={name: value for name, value in episode.info.items() if name != dropped})


CHANGES: Mapping[str, Callable[[Episode, st.DataObject], Episode]] = {
    "reward": change_reward,
    "action": change_action,
    "text": change_text,
    "info": change_info,
    "more info": lambda episode, data: with_info(episode, **{data.draw(st.text(max_size=5)): None}),
    "less info": drop_info,
    "order of turns": change_order,
    "seed": lambda episode, data: replace(
        episode, seed=data.draw(st.integers(-(2**63), 2**63 - 1).filter(lambda seed: seed != episode.seed))
    ),
    "end": lambda episode, data: replace(episode, terminated=episode.truncated, truncated=episode.terminated),
    "cut": lambda episode, data: replace(
        episode, turns=episode.turns[: data.draw(st.integers(2, len(episode.turns) - 1))]
    ),
    "longer": lambda episode, data: replace(
        episode, turns=(*episode.turns, *episode.turns[-2:][: data.draw(st.integers(1, 2))])
    ),
    "system turn": lambda episode, data: replace(episode, turns=(Turn("system", "Hi"), *episode.turns)),
    "task": lambda episode, data: replace(episode, task="wordle"),
    "config": lambda episode, data: replace(episode, config="partially_observed"),
    "policy": lambda episode, data: replace(episode, policy="somebody else"),
}  # fmt: skip


@pytest.fixture(scope="module")
def honest() -> Results:
    results = play("maze", n_episodes=6)
    assert verify_results(results).status == "verified"
    return results


@pytest.mark.parametrize("name", CHANGES)
@settings(max_examples=15)
@given(data=st.data())
def test_any_change_of_an_episode_is_flagged(honest: Results, name: str, data: st.DataObject) -> None:
    index = data.draw(st.sampled_from(range(len(honest.episodes))))
    changed = edit(honest, index, lambda episode: CHANGES[name](episode, data))
    found = verify_results(changed)
    assert (found.status, found.score) == ("flagged", None)
    assert found.n_replayed < found.n_episodes
    check_printable(found)


@settings(max_examples=40)
@given(data=st.data())
def test_any_change_of_a_number_is_flagged(data: st.DataObject) -> None:
    results = solved()
    name = data.draw(st.sampled_from([*NUMBERS, "n_episodes", "seed"]))
    value = getattr(results.score, name)
    by = data.draw(st.sampled_from([-1, 1]) if isinstance(value, int) else st.floats(1e-6, 1e3))
    other: Any = value + by if not isinstance(value, tuple) else (value[0], value[1] + by)
    changes: dict[str, Any] = {name: other}
    found = verify_results(replace(results, score=replace(results.score, **changes)))
    assert found.status == "flagged"
    if name in NUMBERS:
        # The episodes are what they are said to be: their score is told.
        assert found.score == results.score
        assert found.problems[0].startswith(f"{name} is ")
    check_printable(found)


@functools.cache
def solved() -> Results:
    return play("wordle", "words_200", "mixture")


@pytest.mark.parametrize("change", [{"n_resamples": 500}, {"confidence_level": 0.5}])
def test_an_interval_is_made_as_it_is_said_to_be(change: dict[str, Any]) -> None:
    results = solved()
    found = verify_results(replace(results, score=replace(results.score, **change)))
    assert found.problems[0].startswith("interval is ")


def test_episodes_are_neither_dropped_nor_doubled_nor_moved(honest: Results) -> None:
    def check(index: int, change: str) -> None:
        episodes = list(honest.episodes)
        if change == "drop":
            del episodes[index]
        elif change == "double":
            episodes[index + 1] = episodes[index]
        elif change == "insert":
            episodes.insert(index, episodes[index])
        else:
            episodes[index : index + 2] = episodes[index + 1], episodes[index]
        told = rescored(honest, episodes) if change in ("drop", "insert") else honest
        assert verify_results(replace(told, episodes=episodes)).status == "flagged"

    check_cases(product([0, 2, 4], ["drop", "double", "swap", "insert"]), check)


def rescored(results: Results, episodes: Sequence[Episode]) -> Results:
    """A forged score that is consistent with its forged episodes."""
    score, task = results.score, get_task(results.score.task)
    found = score_episodes(episodes, task, score.config, n_resamples=score.n_resamples)
    return replace(results, score=replace(found, protocol=score.protocol, options=score.options), episodes=episodes)


def test_a_score_forged_with_its_rewards_is_flagged(tmp_path: Path) -> None:
    results = play("wordle")
    episodes = [
        replace(each, turns=tuple(replace(turn, reward=0.0) for turn in each.turns)) for each in results.episodes
    ]
    forged = rescored(results, episodes).save(tmp_path / "r")
    assert read_results(forged).score.mean_return == 0
    found = verify_results(forged)
    assert (found.status, found.n_replayed) == ("flagged", 0)
    assert found.problems[0] == (
        "the episode of seed 2000000, turn 1: the reward is 0.0, and the simulator's -1.0"
    )  # fmt: skip
    assert found.problems[-1] == f"and {12 - MAX_PROBLEMS} more"
    assert describe(found).startswith("flagged: 0 of 12 episodes were replayed and are the same\nproblem: ")


def test_seeds_are_not_picked() -> None:
    results = play("wordle", policy="mixture", n_episodes=60)
    best = sorted(results.episodes, key=lambda episode: -episode.total_reward)[:20]
    picked = sorted(best, key=lambda episode: episode.seed)
    assert "all seeds from" in verify_results(rescored(results, picked)).problems[0]
    # Nor does it help to give them seeds that others have.
    renamed = [replace(each, seed=2_000_000 + index) for index, each in enumerate(best)]
    assert verify_results(rescored(results, renamed)).status == "flagged"


def test_starts_are_not_picked() -> None:
    results = play("text_nav", policy="optimal", n_episodes=16)
    easy = next(each for each in results.episodes if each.info["start_name"] == "kitchen")
    episodes = [replace(easy, seed=each.seed) for each in results.episodes]
    found = verify_results(rescored(results, episodes))
    assert (found.status, found.n_replayed) == ("flagged", 2)
    named = [
        with_info(each, start_name=told.info["start_name"])
        for each, told in zip(episodes, results.episodes, strict=True)
    ]
    assert verify_results(rescored(results, named)).n_replayed == 2


# --- a model spoke for the other side


@pytest.fixture
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")


def spoken(config: str = "closed", say: Callable[[Conversation, int], str] = lambda view, attempt: "no") -> Results:
    return Evaluator().compute(Asker(), TOY, config, oracle=Scripted(say), n_resamples=50)


@pytest.mark.usefixtures("_toy")
@pytest.mark.parametrize("config", ["closed", "free"])
def test_a_models_replies_are_replayed_and_the_result_says_so(tmp_path: Path, config: str) -> None:
    words = ["Yes", "no", "Who knows?", "<|im_end|>", ""]
    results = spoken(config, lambda view, attempt: words[(view.seed + len(view.turns) + attempt) % 5])
    assert results.score.oracle is not None
    assert results.score.oracle["regenerated"] > 0
    found = verify_results(results.save(tmp_path / "r"))
    assert found == Verification("oracle", (), 12, 12, results.score)
    assert "who it was, scripted, is not checked" in describe(found)


@pytest.mark.usefixtures("_toy")
def test_what_the_evaluator_cuts_is_cut_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toy_dialogue.TASK", replace(TOY, max_turns=2))
    results = Evaluator().compute(Asker(), "toy", n_episodes=12, n_resamples=50)
    assert results.score.mean_turns == 2
    assert verify_results(results).status == "verified"
    monkeypatch.setattr("toy_dialogue.TASK", replace(TOY, max_turns=1))
    assert "goes on after its end" in verify_results(results).problems[0]
    monkeypatch.setattr("toy_dialogue.TASK", TOY)
    assert "stops before its end" in verify_results(results).problems[0]


@pytest.mark.usefixtures("_toy")
def test_an_oracle_cannot_say_what_the_rules_refuse_or_decide() -> None:
    results = spoken()
    for text in ("Perhaps.", "yes", "YES.", " No.", "The fruit is plum."):
        change = functools.partial(with_turn, place=2, turn=Turn("user", text))
        assert verify_results(edit(results, 0, change)).status == "flagged"
    won = next(i for i, each in enumerate(results.episodes) if each.success)
    last = len(results.episodes[won].turns) - 1
    lie = edit(results, won, lambda episode: with_turn(episode, last, Turn("user", "No.")))
    assert "the rules speak" in verify_results(lie).problems[0]
    # What a model may say, nobody can tell from what it did say: so such a result is called "oracle".
    other = edit(results, 0, lambda episode: with_turn(episode, 2, Turn("user", "Yes.")))
    assert verify_results(other).status == "oracle"


@pytest.mark.usefixtures("_toy")
def test_an_oracles_counts_are_those_of_its_replies() -> None:
    def check(counts: Any) -> None:
        results = spoken()
        assert results.episodes[0].info["oracle"] == {"asked": 4, "regenerated": 0, "replaced": 0}
        forged = edit(results, 0, lambda episode: with_info(episode, oracle=counts))
        assert results.score.oracle is not None
        if isinstance(counts, dict) and len(counts) == 3:
            # Nor does it help that the sums are right.
            forged = replace(
                forged, score=replace(forged.score, oracle={"spec": "x", **oracle_counts(forged.episodes)})
            )
        assert verify_results(forged).problems[0].startswith("the episode of seed 2000000: ")
        agrees = spoken(say=lambda view, attempt: "yes")  # and never says "No.", which stands for what it did not say
        counts = {"asked": 4, "regenerated": 1, "replaced": 1}
        forged = edit(agrees, 1, lambda episode: with_info(episode, oracle=counts))
        assert "are impossible" in verify_results(forged).problems[0]
        totals = replace(results.score, oracle={**results.score.oracle, "replaced": 7})
        assert verify_results(replace(results, score=totals)).problems == (
            "the oracle's replaced is not the 0 of these episodes",
        )

    check_cases(
        [
            None,
            [],
            {},
            {"asked": 4},
            {"asked": 4, "regenerated": 0, "replaced": 1},
            {"asked": 3, "regenerated": 0, "replaced": 0},
            {"asked": 4, "regenerated": 5, "replaced": 0},
            {"asked": 4.0, "regenerated": 0, "replaced": 0},
        ],
        check,
    )


@pytest.mark.usefixtures("_toy")
def test_no_oracle_is_hidden_and_none_is_made_up() -> None:
    results = spoken()
    assert verify_results(replace(results, score=replace(results.score, oracle=None))).status == "flagged"
    told = replace(results.score, oracle=None)
    quiet = [replace(each, info={k: v for k, v in each.info.items() if k != "oracle"}) for each in results.episodes]
    assert verify_results(Results(told, quiet)).status == "flagged"
    maze = play("maze")
    named = replace(maze, score=replace(maze.score, oracle={"spec": "lm:x"}))
    assert verify_results(named).problems == ("maze has no dialogue, yet an oracle is named",)


@pytest.mark.parametrize("task", ["twenty_questions", "guess_my_city", "car_dealer"])
def test_what_a_chat_model_said_in_a_real_task_is_replayed(server: FakeServer, task: str) -> None:
    server.react = lambda body, number: completion(["Yes.", "No", "I am not sure.", ""][number % 4])
    chosen = get_task(task)
    policy = chosen.policy("random", chosen.default_config)
    oracle = load_oracle(f"chat:me/model@{server.url}", chosen)
    results = Evaluator().compute(policy, chosen, n_episodes=4, n_resamples=50, oracle=oracle)
    assert verify_results(results) == Verification("oracle", (), 4, 4, results.score)


# --- what cannot be played again here


def test_what_is_not_to_be_had_here_is_unchecked() -> None:
    def check(change: dict[str, Any], message: str) -> None:
        results = play("wordle", "words_200")
        names = {name: value for name, value in change.items() if name in ("task", "config")}
        results = replace(results, episodes=[replace(each, **names) for each in results.episodes])
        found = verify_results(replace(results, score=replace(results.score, **change)))
        assert (found.status, found.n_episodes, found.n_replayed) == ("unchecked", 12, 0)
        assert message in found.problems[0]
        assert describe(found).startswith("unchecked: none of 12 episodes was replayed\nproblem: ")
        check_printable(found)

    check_cases(
        [
            ({"task": "mazes"}, "unknown task 'mazes'"),
            ({"task_version": "0.9.0"}, "version 0.9.0 of wordle was played and version 1.0.0 is installed"),
            ({"config": "words_9"}, "unknown config of wordle"),
            ({"protocol": "secret"}, "unknown protocol of wordle"),
            ({"options": {"vocab": "/etc/passwd"}}, "the option vocab names a file"),
            ({"options": {"colour": 1}}, "unknown reset option of wordle 'colour'"),
            ({"options": {"target": {"a": []}}}, "the target"),
            ({"n_resamples": 10**12}, "1,000,000,000,000 resamples"),
        ],
        check,
    )


def test_more_episodes_than_are_played_again_are_unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lmrl_eval.verify.MAX_SHARE", 0)
    assert "no more than 0 are replayed" in verify_results(play("maze")).problems[0]


@pytest.mark.parametrize("opponent", ["movetime100", "nodes10000", "depth1"])
def test_an_opponent_that_no_seed_governs_is_unchecked(opponent: str) -> None:
    needs_engine()
    results = play("chess", policy=Says("a 9"), n_episodes=2, options={"opponent": opponent})
    found = verify_results(results)
    assert found.status == "unchecked"
    assert "draws its dice from the clock" in found.problems[0]


def test_another_engine_or_none_is_no_proof_of_fraud(monkeypatch: pytest.MonkeyPatch) -> None:
    needs_engine()
    results = play("chess", policy=Says("a 9"), n_episodes=2)
    other = [with_info(each, engine="Stockfish 99\x1b[2J") for each in results.episodes]
    found = verify_results(replace(results, episodes=other))
    assert found.status == "unchecked"
    assert "these games are against" in found.problems[0]
    check_printable(found)
    shared_pool().close()
    monkeypatch.setattr(shared_pool(), "known_version", None)
    monkeypatch.setenv("LMRL_STOCKFISH", "/nowhere")
    assert "LMRL_STOCKFISH" in verify_results(results).problems[0]
