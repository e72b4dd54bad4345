"""Agreement of an oracle with the rules, by hand-made oracles whose faults are known."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from toy_dialogue import FRUITS, TASK, Scripted

import lmrl_data.tasks
from lmrl_data import Conversation, Turn, UserError, get_task
from lmrl_eval.commands.main import main
from lmrl_eval.oracles.agreement import markdown, measure, yes_or_no
from lmrl_eval.oracles.replay import DialogueReplay

Say = Callable[[Conversation, int], str]


def truth(view: Conversation) -> tuple[str, str, bool]:
    """Fruit, word and answer, read from what the oracle is shown."""
    fruit = view.visible[0].content.removeprefix("The fruit is ").rstrip(".")
    word = view.visible[-1].content.removeprefix('"Is it ').removesuffix('?"')
    return fruit, word, word in FRUITS[fruit]


def honest(view: Conversation, attempt: int = 0) -> str:
    return "yes" if truth(view)[2] else "no"


def test_an_oracle_that_knows_agrees_everywhere() -> None:
    found = measure(Scripted(honest), TASK, n_episodes=20, batch_size=7)
    assert found.total.asked == found.total.compared == 20 * 4
    assert found.total.agreement == 1
    assert found.interval == (1, 1)
    assert (found.regenerated, found.unreadable, found.refused, found.total.replaced) == (0, 0, 0, 0)
    assert set(found.by_label) == {"red", "round", "yellow", "long", "small"}


def test_one_wrong_attribute_stands_first_with_its_count() -> None:
    def wrong_about_red(view: Conversation, attempt: int) -> str:
        _, word, yes = truth(view)
        return "yes" if yes != (word == "red") else "no"

    found = measure(Scripted(wrong_about_red), TASK, n_episodes=50)
    label, share = next(iter(found.by_label.items()))
    assert (label, share.agreement) == ("red", 0)
    # Each episode of the toy asks four of the five words in turn: 40 of 50 ask for red.
    assert share.asked == 40
    assert found.total.agreement == 160 / 200
    assert found.interval is not None
    assert found.interval[0] < 0.8 < found.interval[1]
    assert sum(each.asked for each in found.by_label.values()) == found.total.asked


def test_saying_no_to_everything_shows_in_the_table_by_reply() -> None:
    found = measure(Scripted(lambda view, attempt: "No."), TASK, n_episodes=30)
    assert {name: share.agreement for name, share in found.by_reply.items()} == {"yes": 0, "no": 1}
    assert found.total.agreement == found.by_reply["no"].compared / found.total.compared


def test_what_was_never_answered_does_not_agree_though_the_fallback_may() -> None:
    found = measure(Scripted(lambda view, attempt: "Maybe."), TASK, n_episodes=10)
    assert found.total.agreement == 0
    assert (found.total.replaced, found.regenerated, found.refused, found.unreadable) == (1, 1, 1, 0)
    garbage = measure(Scripted(lambda view, attempt: "\x00"), TASK, n_episodes=10)
    assert (garbage.refused, garbage.unreadable) == (0, 1)
    second = measure(Scripted(lambda view, attempt: honest(view) if attempt else ""), TASK, n_episodes=10)
    assert (second.total.agreement, second.regenerated, second.total.replaced) == (1, 1, 0)


def test_free_replies_agree_by_their_yes_or_no_and_leaks_are_refused() -> None:
    def chatty(view: Conversation, attempt: int) -> str:
        fruit, word, yes = truth(view)
        return f"It is a {fruit}!" if word == "long" else f"{'Yes' if yes else 'No'}, I think."

    found = measure(Scripted(chatty), TASK, "free", n_episodes=25)
    assert found.by_label["long"].replaced == 1
    assert next(iter(found.by_label)) == "long"
    assert found.refused == found.total.replaced == found.by_label["long"].asked / found.total.asked
    assert all(share.agreement == 1 for label, share in found.by_label.items() if label != "long")


def test_every_oracle_is_asked_the_same_dialogue_with_the_rules_own_replies() -> None:
    seen: list[list[str]] = [[], []]
    for number, text in enumerate(("Yes, whatever.", "No, whatever.")):

        def say(view: Conversation, attempt: int, number: int = number, text: str = text) -> str:
            seen[number].append("|".join(turn.content for turn in view.visible))
            return text

        measure(Scripted(say), TASK, "free", n_episodes=6)
    assert seen[0] == seen[1]
    assert "whatever" not in "".join(seen[0])


def test_yes_and_no_are_words_at_the_beginning() -> None:
    assert [yes_or_no(text) for text in ("Yes.", "no", '"No", he said', "YES!")] == ["yes", "no", "no", "yes"]
    assert [yes_or_no(text) for text in ("Nothing", "Yesterday", "It is. Yes", "", "x" * 10_000)] == [None] * 5


# --- replays


def test_an_episode_that_differs_is_named_with_its_turn() -> None:
    episode = TASK.generate(TASK.simulator(), 3)
    replay = DialogueReplay(TASK.simulator(), episode)
    count = 0
    while replay.ask() is not None:
        replay.finish()
        count += 1
    assert count == 4
    paid = dataclasses.replace(episode.turns[3], reward=-5.0)
    other = dataclasses.replace(episode, turns=(*episode.turns[:3], paid, *episode.turns[4:]))
    replay = DialogueReplay(TASK.simulator(), other)
    replay.ask()
    replay.finish()
    replay.ask()
    with pytest.raises(UserError, match=r"seed 3 is not played the same again \(turn 2\)"):
        replay.finish()
    begun = dataclasses.replace(episode, turns=(Turn("user", "Hello"), *episode.turns[1:]))
    with pytest.raises(UserError, match=r"\(turn 0\)"):
        DialogueReplay(TASK.simulator(), begun)
    longer = dataclasses.replace(episode, turns=(*episode.turns, *episode.turns[-2:]))
    replay = DialogueReplay(TASK.simulator(), longer)
    for _ in range(4):
        replay.ask()
        replay.finish()
    with pytest.raises(UserError, match="not played the same"):
        replay.ask()


def test_converted_data_and_other_tasks_cannot_be_replayed() -> None:
    episode = TASK.generate(TASK.simulator(), 3)
    with pytest.raises(UserError, match="converted data has no seeds"):
        DialogueReplay(TASK.simulator(), dataclasses.replace(episode, seed=-1))
    maze = get_task("maze")
    with pytest.raises(UserError, match="maze has no dialogue"):
        DialogueReplay(maze.simulator(config=maze.default_config), dataclasses.replace(episode, task="maze"))


# --- the command


def test_the_command_writes_numbers_a_table_and_a_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")
    monkeypatch.setattr("lmrl_eval.oracles.load_oracle", lambda *_, **__: Scripted(lambda view, attempt: "No."))
    with pytest.raises(SystemExit) as left:
        main(["oracle", "--task", "toy", "--oracle", "lm:x/y", "--episodes", "10"])
    assert left.value.code == 0
    folder = tmp_path / "results" / "oracle-toy-closed-lm_x_y"
    output = capsys.readouterr().out
    assert "| **agreement** (95 %: " in output
    assert "most faults first (5 of 5)" in output
    written = json.loads((folder / "agreement.json").read_text())
    assert written["oracle"] == {"spec": "scripted"}
    assert written["total"]["asked"] == 40
    assert written["by_label"]["red"]["asked"] == 8
    assert (folder / "agreement.md").read_text().startswith("### toy, closed (version 1)")
    assert (folder / "agreement.png").stat().st_size > 1_000


def test_a_table_holds_what_untrusted_labels_say(tmp_path: Path) -> None:
    found = measure(Scripted(honest), TASK, n_episodes=4)
    hostile = dataclasses.replace(found, by_label={"a | <b> `c`\n": found.total})
    assert "<b>" not in markdown(hostile)
    assert markdown(hostile).count("\n") == markdown(found).count("\n") - len(found.by_label) + 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "toy", "--oracle", "grounded"], "oracles are compared with the grounded one"),
        (["--task", "maze", "--oracle", "lm:x"], "maze has no dialogue"),
        (["--task", "toy", "--oracle", "lm:x", "--config", "half"], "unknown config of toy 'half'"),
    ],
)
def test_a_mistake_is_one_line(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")
    with pytest.raises(SystemExit) as left:
        main(["oracle", *arguments])
    assert left.value.code == 2
    assert message in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
    with pytest.raises(UserError, match="at least 2 episodes"):
        measure(Scripted(honest), TASK, n_episodes=1)
