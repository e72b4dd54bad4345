"""Oracles: what a model may say in a dialogue, when it is asked again, and what a score tells about it."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cases import release
from toy_dialogue import TASK, WORDS, Asker, Scripted

import lmrl_data.tasks
from lmrl_data import Conversation, UserError, get_task, rollout
from lmrl_data.dialogue.simulator import Prompt
from lmrl_data.episode import Turn
from lmrl_eval import Evaluator, load_oracle, read_results
from lmrl_eval.commands.main import main
from lmrl_eval.oracles.model import Answer, OracleError, attempt_seed
from lmrl_eval.report import scores_figure, table
from lmrl_eval.results import PartialResults

pytestmark = pytest.mark.slow


def prompt(seed: int = 0, reply: str = "Yes.", *, spoken: bool = False) -> Prompt:
    view = Conversation(seed, None, [Turn("system", "s"), Turn("user", "u")])
    return Prompt("grounded", None if spoken else lambda: view, lambda text: text if text == reply else None, "fall")


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")


# --- asking


def test_what_cannot_be_read_is_asked_again_twice_and_then_replaced() -> None:
    second = Scripted(lambda view, attempt: "Yes." if attempt >= view.seed else "hm")
    answers = second.ask([prompt(0), prompt(1), prompt(2), prompt(3)])
    assert [answer.reply for answer in answers] == ["Yes.", "Yes.", "Yes.", "fall"]
    assert [answer.texts for answer in answers] == [("Yes.",), ("hm", "Yes."), ("hm",) * 2 + ("Yes.",), ("hm",) * 3]
    assert [answer.replaced for answer in answers] == [False, False, False, True]
    assert second.batches == [(0, 4), (1, 3), (2, 2)]
    assert second.statistics() == {"asked": 4, "regenerated": 3, "replaced": 1}
    assert second.counts(2) == {"asked": 1, "regenerated": 1, "replaced": 0}
    assert second.counts(2) == second.counts(99) == {"asked": 0, "regenerated": 0, "replaced": 0}


def test_nobody_is_asked_where_the_rules_speak() -> None:
    oracle = Scripted(lambda view, attempt: "Yes.")
    assert oracle.ask([prompt(spoken=True)]) == [Answer("grounded", (), False)]
    assert oracle.answer([prompt(spoken=True), prompt(1)]) == ["grounded", "Yes."]
    assert oracle.batches == [(0, 1)]
    assert oracle.statistics()["asked"] == 1
    assert oracle.answer([]) == []


def test_the_rules_decide_the_outcome_whatever_the_oracle_says() -> None:
    liar = Scripted(lambda view, attempt: "no")
    truth = rollout(TASK, "closed", Asker(), range(40))
    lies = rollout(TASK, "closed", Asker(), range(40), oracle=liar)
    assert [e.total_reward for e in lies] == [e.total_reward for e in truth]
    assert [e.success for e in lies] == [e.success for e in truth]
    assert {e.success for e in truth} == {True, False}
    assert {t.content for e in lies for t in e.turns[2:-1] if t.role == "user"} == {"No."}
    # The right guess is confirmed by the rules.
    assert {e.turns[-1].content for e in lies if e.success} == {"Yes."}


def test_the_model_sees_the_dialogue_with_its_own_side_as_assistant() -> None:
    seen: list[list[tuple[str, str]]] = []

    def say(view: Conversation, attempt: int) -> str:
        seen.append([(turn.role, turn.content) for turn in view.visible])
        return "Perhaps."

    rollout(TASK, "free", Asker(), [3], oracle=Scripted(say))
    assert seen[0][0][0] == "system"
    assert seen[1][1:] == [("user", '"Is it red?"'), ("assistant", "Perhaps."), ("user", '"Is it round?"')]
    seen.clear()
    rollout(TASK, "closed", Asker(), [3], oracle=Scripted(say))
    assert all([role for role, _ in view] == ["system", "user"] for view in seen)


def test_seeds_of_later_attempts_are_no_policys() -> None:
    seeds = {attempt_seed(seed, attempt) for seed in range(50) for attempt in range(3)}
    assert len(seeds) == 150
    assert min(seeds) > 1000


# --- by name


def test_the_default_is_the_simulators_own_words() -> None:
    for spec in (None, "", "grounded"):
        assert load_oracle(spec, TASK) is None
        assert load_oracle(spec, get_task("maze")) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gpt", "unknown oracle 'gpt': an oracle speaks for the other side of a dialogue; choose from: grounded"),
        ("lm:./gone", "./gone does not exist; give a checkpoint folder, or a model id of the Hub"),
        ("lm:", "checkpoint folder or a model id"),
        ("lm:scripted:random", "checkpoint folder or a model id"),
        ("lm:human", "checkpoint folder or a model id"),
        ("chat:model", "chat:MODEL@URL"),
    ],
)
def test_an_oracle_that_is_none_is_refused_in_one_line(spec: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_oracle(spec, TASK)
    assert len(str(caught.value)) < 300


def test_a_task_without_a_dialogue_takes_no_oracle() -> None:
    with pytest.raises(UserError, match="maze has no dialogue"):
        load_oracle("lm:anything", get_task("maze"))
    with pytest.raises(UserError, match="budget"):
        load_oracle("grounded", TASK, budget=3)
    with pytest.raises(UserError, match="seed is 0 or more"):
        Scripted.__mro__[1].__init__(Scripted(lambda view, attempt: ""), "x", -1)  # type: ignore[misc]


# --- a language model as oracle


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model that writes yes, no and other things."""
    from lmrl_recipes.tiny_model import make_model, train_tokenizer

    folder = tmp_path_factory.mktemp("oracle") / "tiny"
    texts = ["Yes.\nNo.\n", "The fruit is apple.\n", *[f'"Is it {word}?"\n' for word in WORDS]]
    tokenizer = train_tokenizer(texts * 3, vocab_size=300)
    make_model(tokenizer, "tiny", seed=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_checkpoint_speaks_the_same_whatever_the_batch(checkpoint: Path) -> None:
    played = []
    for batch_size in (1, 5, 16):
        oracle = load_oracle(f"lm:{checkpoint}", TASK)
        episodes = rollout(TASK, "free", Asker(), range(16), oracle=oracle, batch_size=batch_size)
        assert oracle is not None
        played.append((episodes, {name: oracle.statistics()[name] for name in ("asked", "regenerated", "replaced")}))
    assert played[0] == played[1] == played[2]
    assert played[0][1]["asked"] > 16


def test_an_untrained_model_is_asked_again_with_the_oracles_seed(checkpoint: Path) -> None:
    first, again, other = (load_oracle(f"lm:{checkpoint}", TASK, seed=seed) for seed in (0, 0, 1))
    assert first is not None and again is not None and other is not None  # noqa: PT018
    views = [Conversation(seed, None, [Turn("system", "The fruit is plum."), Turn("user", "u")]) for seed in range(8)]
    greedy = first.write(views, 0)
    assert greedy == other.write(views, 0)
    sampled = first.write(views, 1)
    assert sampled == again.write(views, 1) != other.write(views, 1)
    assert sampled != first.write(views, 2)


def test_a_dialogue_is_encoded_once_also_when_some_are_asked_again(checkpoint: Path) -> None:
    oracle = load_oracle(f"lm:{checkpoint}", TASK)
    assert oracle is not None
    encoded = []
    view = Conversation(5, None, [Turn("system", "The fruit is plum.")])
    for number in range(6):
        view.turns.append(Turn("user", f'"Is it {WORDS[number % 5]}?"'))
        before = oracle.policies[0].statistics()["tokens_encoded"]  # type: ignore[attr-defined]
        oracle.write([view], 0)
        oracle.write([view], 1)
        encoded.append(oracle.policies[0].statistics()["tokens_encoded"] - before)  # type: ignore[attr-defined]
        view.turns.append(Turn("assistant", "Yes."))
    # Later turns cost a question and the reply, and not the dialogue.
    assert max(encoded[1:]) < 20
    assert oracle.work()["tokens_reused"] > 0


def test_a_scores_oracle_has_its_name_weights_and_counts(checkpoint: Path) -> None:
    oracle = load_oracle(f"lm:{checkpoint}", TASK, seed=4)
    results = Evaluator().compute(Asker(), TASK, "free", n_episodes=12, oracle=oracle)
    told = results.score.oracle
    assert told is not None
    assert told["spec"] == f"lm:{checkpoint}"
    assert (told["seed"], told["reply_tokens"], len(told["weights_sha256"])) == (4, 6, 64)
    for name in ("asked", "regenerated", "replaced"):
        assert told[name] == sum(episode.info["oracle"][name] for episode in results.episodes)
    assert told["asked"] == sum(episode.num_turns - episode.success for episode in results.episodes)
    assert results.timing["oracle_tokens_written"] > 0
    again = Evaluator().compute(Asker(), TASK, "free", n_episodes=12, oracle=oracle)
    assert again.score == results.score


def test_scores_of_different_oracles_stand_in_tables_of_their_own() -> None:
    plain = Evaluator().compute(Asker(), TASK, "closed", n_episodes=12)
    assert plain.score.oracle is None
    assert "oracle" not in plain.episodes[0].info
    spoken = Evaluator().compute(Asker(), TASK, oracle=Scripted(lambda view, attempt: "yes"))
    text = table([plain.score, spoken.score])
    assert [line for line in text.splitlines() if line.startswith("###")] == [
        "### toy, closed (version 1)",
        "### toy, closed (version 1), oracle scripted",
    ]
    assert len(scores_figure([plain.score, spoken.score]).axes) == 2


def test_a_score_from_a_file_needs_an_oracle_with_a_name() -> None:
    score = Evaluator().compute(Asker(), TASK, n_episodes=12).score
    text = score.to_json()
    assert type(score).from_json(text) == score
    for bad in ("x", {}, {"spec": 3}):
        with pytest.raises(ValueError, match="oracle must"):
            type(score).from_json(json.dumps(json.loads(text) | {"oracle": bad}))


# --- no episode is lost


def failing(after: int) -> Scripted:
    calls = iter(range(10_000))

    def say(view: Conversation, attempt: int) -> str:
        if next(calls) >= after:
            raise OracleError("the endpoint is gone")
        return ("yes", "no", "hm")[(view.seed + len(view.turns)) % 3]

    return Scripted(say)


def test_a_run_that_failed_goes_on_where_it_was_and_ends_as_if_it_had_not(tmp_path: Path) -> None:
    def settings(folder: Path) -> dict[str, Any]:
        partial = PartialResults(folder, {"seed": 2_000_000})
        return {"n_episodes": 12, "batch_size": 3, "done": partial.read(), "on_episode": partial.add}

    whole = Evaluator().compute(Asker(), TASK, oracle=failing(10_000), **settings(tmp_path / "a"))
    with pytest.raises(OracleError, match="gone"):
        Evaluator().compute(Asker(), TASK, oracle=failing(33), **settings(tmp_path / "b"))
    begun = settings(tmp_path / "b")
    assert 0 < len(begun["done"]) < 12
    asker = Counting()
    resumed = Evaluator().compute(asker, TASK, oracle=failing(10_000), **begun)
    assert asker.conversations.isdisjoint({episode.seed for episode in begun["done"]})
    assert resumed.score == whole.score
    for name, results in (("a", whole), ("b", resumed)):
        results.save(tmp_path / name)
    for name in ("score.json", "episodes.parquet", "greedy_actions.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class Counting(Asker):
    def __init__(self) -> None:
        self.conversations: set[int] = set()

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        self.conversations |= {conversation.seed for conversation in conversations}
        return super().act(conversations)


def test_episodes_of_other_settings_are_never_mixed_in(tmp_path: Path) -> None:
    episode = rollout(TASK, "closed", Asker(), [5])[0]
    partial = PartialResults(tmp_path / "r", {"seed": 5, "oracle": {"spec": "chat:m@http://localhost"}})
    assert partial.read() == []
    partial.add(episode)
    assert PartialResults(tmp_path / "r", partial.settings).read() == [episode]
    for other in ({"seed": 6}, {"oracle": None}, {"temperature": 1}):
        with pytest.raises(UserError, match=f"with another {next(iter(other))} .*delete it"):
            PartialResults(tmp_path / "r", {**partial.settings, **other}).read()
    with pytest.raises(UserError, match="unfinished run"):
        read_results(tmp_path / "r.partial")
    partial.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_was_cut_off_is_left_out_and_damage_is_named(tmp_path: Path) -> None:
    episodes = rollout(TASK, "closed", Asker(), [5, 6])
    partial = PartialResults(tmp_path / "r", {})
    for episode in episodes:
        partial.add(episode)
    path = partial.folder / "episodes.jsonl"
    path.write_text(path.read_text()[:-40])
    assert PartialResults(tmp_path / "r", {}).read() == episodes[:1]
    partial.add(episodes[1])
    assert PartialResults(tmp_path / "r", {}).read() == episodes
    for damage in ("{\n", "[]\n", "\xff\xfe\n", "null\n"):
        path.write_text(damage)
        with pytest.raises(UserError, match="damaged"):
            PartialResults(tmp_path / "r", {}).read()
    (tmp_path / "home.partial").mkdir()
    with pytest.raises(UserError, match="no unfinished run"):
        PartialResults(tmp_path / "home", {}).read()
    PartialResults(tmp_path / "home", {}).remove()
    assert (tmp_path / "home.partial").exists()


KILLED = """
import sys, os, signal
import lmrl_data.tasks, toy_dialogue
lmrl_data.tasks.TASKS["toy"] = "toy_dialogue:TASK"
act, calls = toy_dialogue.Asker.act, [0]
def slow(self, conversations):
    calls[0] += 1
    if calls[0] == int(sys.argv[1]):
        os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    return act(self, conversations)
toy_dialogue.Asker.act = slow
from lmrl_eval.commands.main import main
main(sys.argv[3:])
"""


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), release("SIGKILL", -9)])
def test_a_run_that_was_killed_goes_on_with_the_same_command(tmp_path: Path, name: str, code: int) -> None:
    command = ["run", "--task", "toy", "--policy", "scripted:asker", "--episodes", "12", "--batch-size", "2"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}

    def run(call: int, out: str) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", KILLED, str(call), name, *command, "--out", out]
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)

    whole = run(-1, "whole")
    assert whole.returncode == 0, whole.stderr
    killed = run(11, "killed")
    assert killed.returncode == code
    saved = len((tmp_path / "killed.partial" / "episodes.jsonl").read_text().splitlines())
    assert 2 <= saved < 12
    if name == "SIGINT":
        assert f"{saved} of 12 episodes are saved; the same command goes on from there" in killed.stderr
    resumed = run(-1, "killed")
    assert resumed.returncode == 0, resumed.stderr
    for file in ("score.json", "episodes.parquet"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed", "whole"]


def test_the_command_says_how_many_episodes_are_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ["run", "--task", "toy", "--policy", "scripted:asker", "--oracle", "lm:x", "--batch-size", "2"]
    for after, expected in ((1, "error: the endpoint is gone\n"), (30, "gone; ")):
        monkeypatch.setattr("lmrl_eval.oracles.load_oracle", lambda *_, after=after, **__: failing(after))
        with pytest.raises(SystemExit) as left:
            main(command)
        assert left.value.code == 2
        assert expected in capsys.readouterr().err
    monkeypatch.setattr("lmrl_eval.oracles.load_oracle", lambda *_, **__: failing(10_000))
    with pytest.raises(SystemExit) as left:
        main([*command, "--seed", "7"])
    assert "with another seed (2000000)" in capsys.readouterr().err
    with pytest.raises(SystemExit) as left:
        main(command)
    assert left.value.code == 0
    assert "oracle scripted" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "results").iterdir()] == ["toy-closed-asker"]
