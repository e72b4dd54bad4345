"""The simulator's recipe: a model learns what the other side says, from exactly what it will be shown."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_dialogue
from datasets import Dataset
from toy_dialogue import FRUITS, TASK, FruitSimulator, Scripted
from transformers import AutoTokenizer
from trl import ModelConfig, ScriptArguments

import lmrl_data.tasks
from lmrl_data import Conversation, Episode, Turn, UserError, rollout
from lmrl_data.dialogue.simulator import Answer
from lmrl_data.tokenization import TurnTokenizer
from lmrl_eval import load_oracle
from lmrl_eval.oracles.agreement import measure
from lmrl_recipes.oracle import OracleConfig, examples, labelled, main, make_examples
from lmrl_recipes.tiny_model import TinyModelArguments, make_model, train_tokenizer
from lmrl_recipes.tiny_model import main as make_tiny_model

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")


def episodes(config: str, count: int = 40) -> list[Episode]:
    simulator = TASK.simulator(config)
    return [TASK.generate(simulator, seed) for seed in range(count)]


def texts() -> Iterator[str]:
    for config in ("closed", "free"):
        for episode in episodes(config, 20):
            for example in examples(episode):
                yield "".join(turn.content + "\n" for turn in example.turns)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")
        return train_tokenizer(texts(), vocab_size=400)


def rows(config: str, count: int = 40) -> Dataset:
    return Dataset.from_list([episode.to_row() for episode in episodes(config, count)])


def settings(tmp_path: Path, **values: Any) -> OracleConfig:
    return OracleConfig(output_dir=str(tmp_path / "out"), use_cpu=True, report_to="none", disable_tqdm=True, **values)


# --- what is learned


def test_where_a_reply_is_alone_each_is_an_example_of_its_own() -> None:
    episode = episodes("closed")[0]
    found = list(examples(episode))
    assert len(found) == 4
    for number, example in enumerate(found):
        fruit = Turn("system", f"The fruit is {episode.info['fruit']}.")
        question, reply = episode.turns[2 * number + 1 : 2 * number + 3]
        assert example.turns == [fruit, Turn("user", json.dumps(question.content)), Turn("assistant", reply.content)]
        assert example.learned == [False, False, True]


def test_where_the_dialogue_is_seen_it_is_one_example() -> None:
    episode = episodes("free")[0]
    (example,) = examples(episode)
    assert [turn.role for turn in example.turns] == ["system", *["user", "assistant"] * 4]
    assert [turn.content for turn in example.turns[2::2]] == [turn.content for turn in episode.turns[2::2]]
    assert example.learned == [turn.role == "assistant" for turn in example.turns]


def test_a_model_is_trained_on_what_it_will_be_shown(tokenizer: Any) -> None:
    """What an oracle is asked in a game and what the recipe makes of that game are the same texts."""
    for config in ("closed", "free"):
        asked: list[list[Turn]] = []

        def say(view: Conversation, attempt: int, asked: list[list[Turn]] = asked) -> str:
            asked.append(list(view.visible))
            return "Yes."

        (episode,) = rollout(TASK, config, toy_dialogue.Asker(), [2], oracle=Scripted(say))
        found = list(examples(dataclasses.replace(episode, policy="asker")))
        learned = [
            example.turns[:place]
            for example in found
            for place, flag in enumerate(example.learned)
            if flag
        ]  # fmt: skip
        assert learned == asked


def test_what_the_rules_said_is_read_and_not_learned() -> None:
    class SpeakingRules(FruitSimulator):
        def _consider(self, action: str) -> Answer:
            answer = super()._consider(action)
            return Answer(answer.grounded) if "round" in action else answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(lmrl_data.tasks.TASKS, "toy", "toy_dialogue:TASK")
        patch.setattr(toy_dialogue, "TASK", dataclasses.replace(TASK, simulator_class=SpeakingRules))
        (episode,) = rollout(TASK, "free", toy_dialogue.Asker(), [0])
        (example,) = examples(episode)
    asked = {turn.content: learned for turn, learned in zip(example.turns[1::2], example.learned[2::2], strict=True)}
    assert asked.pop('"Is it round?"') is False
    assert set(asked.values()) == {True}
    assert len(asked) >= 2


def test_only_the_replys_tokens_with_their_end_are_learned(tokenizer: Any) -> None:
    turn_tokenizer = TurnTokenizer(tokenizer)
    (example,) = examples(episodes("free")[1])
    item = labelled(turn_tokenizer, example)
    assert len(item["input_ids"]) == len(item["labels"])
    assert tokenizer.decode(item["input_ids"]) == "".join(turn.content + "\n" for turn in example.turns)
    learned = tokenizer.decode([label for label in item["labels"] if label != -100])
    assert learned == "".join(turn.content + "\n" for turn in example.turns if turn.role == "assistant")
    half = example._replace(learned=[False] * 4 + [True] * 5)
    ids = [label for label in labelled(turn_tokenizer, half)["labels"] if label != -100]
    assert tokenizer.decode(ids) == "".join(turn.content + "\n" for turn in example.turns[4::2])


# --- which examples


def replies(items: Dataset, tokenizer: Any) -> list[str]:
    return [tokenizer.decode([i for i in labels if i != -100]).strip() for labels in items["labels"]]


def test_balance_takes_as_many_yes_as_no(tokenizer: Any, tmp_path: Path) -> None:
    plain = replies(make_examples(rows("closed"), tokenizer, settings(tmp_path), 100), tokenizer)
    assert len(plain) == 160
    fewer = min(plain.count("Yes."), plain.count("No."))
    assert fewer < 75
    balanced = replies(make_examples(rows("closed"), tokenizer, settings(tmp_path, balance=True), 100), tokenizer)
    assert (balanced.count("Yes."), balanced.count("No.")) == (fewer, fewer)
    few = make_examples(rows("closed"), tokenizer, settings(tmp_path, balance=True, max_examples=20), 100)
    assert sorted(replies(few, tokenizer)) == ["No."] * 10 + ["Yes."] * 10
    with pytest.raises(UserError, match="this one learns whole dialogues"):
        make_examples(rows("free"), tokenizer, settings(tmp_path, balance=True), 100)


def test_the_seed_decides_which_episodes_are_taken(tokenizer: Any, tmp_path: Path) -> None:
    def take(seed: int) -> list[list[int]]:
        return list(
            make_examples(rows("closed"), tokenizer, settings(tmp_path, max_examples=8, seed=seed), 99)["labels"]
        )

    first, again, other = ([*map(list, take(seed))] for seed in (0, 0, 1))
    assert len(first) == 8
    assert first == again
    assert first != other


def test_what_is_too_long_is_left_out(tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing to learn: 40 examples are longer than 10 tokens"):
        make_examples(rows("free"), tokenizer, settings(tmp_path), 10)


def test_a_row_that_cannot_be_replayed_is_named(tokenizer: Any, tmp_path: Path) -> None:
    good = episodes("closed", 3)
    converted = dataclasses.replace(good[1], seed=-1)
    data = Dataset.from_list([episode.to_row() for episode in (good[0], converted, good[2])])
    with pytest.raises(UserError, match=r"row 1: .*converted data has no seeds"):
        make_examples(data, tokenizer, settings(tmp_path), 100)
    changed = dataclasses.replace(good[1], seed=2)
    data = Dataset.from_list([episode.to_row() for episode in (good[0], changed)])
    data = data.map(lambda row: {"rewards": [0.5 * r for r in row["rewards"]]} if row["seed"] == 2 else row)
    with pytest.raises(UserError, match=r"row 1: the episode of seed 2 is not played the same again \(turn 1\)"):
        make_examples(data, tokenizer, settings(tmp_path), 100)


# --- the whole way


def test_a_trained_model_answers_better_than_by_chance(
    tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lmrl_recipes.oracle.load_rows", lambda *_: rows("closed", 200))
    monkeypatch.setattr(
        "lmrl_recipes.training.finish.render_model_card", lambda record, **facts: f"{record.task} {record.n_examples}"
    )
    make_model(tokenizer, "tiny", seed=0).save_pretrained("base")
    tokenizer.save_pretrained("base")
    args = settings(
        tmp_path, max_steps=60, learning_rate=1e-2, per_device_train_batch_size=32, save_strategy="no", balance=True
    )
    main(ScriptArguments(dataset_name="lmrl/toy"), args, ModelConfig(model_name_or_path="base"))
    assert (tmp_path / "out" / "README.md").read_text().startswith("toy ")
    oracle = load_oracle(f"lm:{tmp_path / 'out'}", TASK)
    assert oracle is not None
    found = measure(oracle, TASK, n_episodes=30)
    assert found.total.replaced == 0
    assert {name: share.agreement for name, share in found.by_reply.items()} == {"yes": 1, "no": 1}
    assert len(FRUITS) == 4


def test_a_tiny_model_for_an_oracle_knows_the_words_an_oracle_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lmrl_recipes.training.offline.load_rows", lambda *_: rows("closed", 60))
    counts = {}
    for name, oracle in (("policy", False), ("oracle", True)):
        arguments = TinyModelArguments("lmrl/toy", str(tmp_path / name), size="tiny", vocab_size=600, oracle=oracle)
        make_tiny_model(arguments)
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / name)
        counts[name] = len(tokenizer("The fruit is banana.")["input_ids"])
    assert counts["oracle"] == 5
    assert counts["policy"] > 5


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="max_examples is at least 0, got -1"):
        main(ScriptArguments(), settings(tmp_path, max_examples=-1), ModelConfig())
