"""The game of Twenty Questions: its end, its answers, its players, and what a language model may decide in it."""

import pickle
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from cases import check_cases, read_cases
from hypothesis import given
from hypothesis import strategies as st

from lmrl_data import Episode, Turn, UserError, get_task, rollout
from lmrl_data.cli import main
from lmrl_data.dataset.page import task_page
from lmrl_data.dataset.statistics import Statistics
from lmrl_data.dialogue.diversity import Diversity
from lmrl_data.dialogue.simulator import REPLY_CHARSET, Prompt
from lmrl_data.policy import Conversation
from lmrl_data.tasks.twenty_questions import players
from lmrl_data.tasks.twenty_questions import simulator as game
from lmrl_data.tasks.twenty_questions.data_facts import data_facts
from lmrl_data.tasks.twenty_questions.knowledge import knowledge
from lmrl_data.tasks.twenty_questions.parser import reader

pytestmark = pytest.mark.slow

TASK = get_task("twenty_questions")
FACTS = knowledge()
NAMES = [thing.name for thing in FACTS.things]


class Model:
    """A language model that always says the same, and remembers what it was asked."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.shown: list[list[Turn]] = []

    def answer(self, prompts: Sequence[Prompt]) -> list[str]:
        replies = []
        for prompt in prompts:
            if prompt.view is None:
                replies.append(prompt.grounded)
                continue
            self.shown.append(list(prompt.view().visible))
            replies.append(prompt.parse(self.text) or prompt.fallback)
        return replies


def at(name: str, oracle: Any = None, **options: object) -> game.TwentyQuestionsSimulator:
    simulator = get_task("twenty_questions").simulator(oracle=oracle)
    simulator.reset(seed=0, options={"object": name, **options})
    return simulator


def conversation(*pairs: tuple[str, str], seed: int = 0) -> Conversation:
    turns = [Turn("user", game.FIRST)]
    for said, heard in pairs:
        turns += [Turn("assistant", said), Turn("user", heard)]
    return Conversation(seed, None, turns)


@pytest.fixture(scope="module")
def data() -> list[Episode]:
    simulator = TASK.simulator()
    return [TASK.generate(simulator, seed) for seed in range(1_500)]


# --- the game


def test_the_smallest_game() -> None:
    simulator = get_task("twenty_questions").simulator()
    assert simulator.reset(seed=0, options={"object": "Lion"}) == ("Questions:", {"object": "Lion"})
    assert simulator.step("Is it an animal?") == (
        "Yes.",
        -1.0,
        False,
        False,
        {"valid": True, "match": "animal", "in_scope": True, "guess": False},
    )
    assert simulator.step("Is it a lion?") == (
        "Yes.",
        0.0,
        True,
        False,
        {"valid": True, "match": "guess", "in_scope": True, "guess": True, "success": True},
    )


def test_the_twentieth_question_ends_the_game_lost() -> None:
    simulator = at("Lion")
    for _ in range(19):
        assert simulator.step("Is it a tiger?")[1:4] == (-1.0, False, False)
    reply, reward, terminated, truncated, info = simulator.step("Is it a tiger?")
    assert (reply, reward, terminated, truncated, info["success"]) == ("No.", -1.0, True, False, False)


def test_the_twentieth_question_may_still_find_it() -> None:
    simulator = at("Lion")
    for _ in range(19):
        simulator.step("Is it alive?")
    assert simulator.step("Is it a lion?")[:4] == ("Yes.", 0.0, True, False)


def test_every_object_is_drawn_as_often_by_the_seeds() -> None:
    simulator = get_task("twenty_questions").simulator()
    drawn = Counter(simulator.reset(seed=seed)[1]["object"] for seed in range(158 * 60))
    assert set(drawn) == set(NAMES)
    assert len(NAMES) == 158
    # 60 each by expectation, with a standard deviation of 7.7
    assert min(drawn.values()) > 60 - 6 * 7.7
    assert max(drawn.values()) < 60 + 6 * 7.7


@pytest.mark.parametrize(
    ("given_name", "name"),
    [
        ("lion", "Lion"),
        ("TV", "Television"),
        ("frying pan", "Pan"),
        ("PAIR OF SCISSORS", "Scissors"),
        ("shoe", "Shoes"),
    ],
)
def test_an_object_may_be_named_by_any_of_its_names(given_name: str, name: str) -> None:
    assert get_task("twenty_questions").simulator().reset(seed=0, options={"object": given_name})[1] == {
        "object": name
    }


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"object": "lionn"}, "Lion"),
        ({"object": "xyzzy" * 50}, "choose"),
        ({"object": 5}, "choose"),
        ({"strict": "perhaps"}, "true or false"),
        ({"matcher": "embeddings"}, "matcher=embeddings is gone"),
        ({"matcher": ["lexical"]}, "is gone"),
        ({"hint": 1}, "object"),
    ],
)
def test_wrong_options_are_refused_in_one_line(options: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        get_task("twenty_questions").simulator().reset(seed=0, options=options)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_what_is_out_of_scope_is_said_so_unless_the_old_reply_is_asked_for() -> None:
    assert at("Lion").step("Is it mentioned in Hamlet?")[0] == "I can't answer that."
    for strict, reply in ((False, "No."), (True, "I can't answer that."), ("true", "I can't answer that.")):
        simulator = at("Lion", strict=strict)
        said, reward, _, _, info = simulator.step("Is it mentioned in Hamlet?")
        assert (said, reward, info["valid"], info["in_scope"], info["match"]) == (reply, -1.0, True, False, None)
        assert simulator.step("Lions are nice.")[0] == "No."


@pytest.mark.parametrize("text", ["", "Lions are nice.", "is it " * 21 + "a lion?", "Is it a cat? Is it a lion?"])
def test_what_is_no_question_costs_one_and_is_invalid(text: str) -> None:
    reply, reward, terminated, _, info = at("Lion").step(text)
    assert (reply, reward, terminated, info["valid"]) == ("No.", -1.0, False, False)


def test_a_wrong_name_is_a_guess_and_costs_one() -> None:
    reply, reward, terminated, _, info = at("Lion").step("Is it a tiger?")
    assert (reply, reward, terminated, info["guess"], info["match"]) == ("No.", -1.0, False, True, "guess")


@given(st.lists(st.text(max_size=60), min_size=1, max_size=20), st.integers(0, 2**32))
def test_replies_are_one_line_of_plain_letters_and_returns_lie_in_range(texts: list[str], seed: int) -> None:
    simulator = get_task("twenty_questions").simulator()
    simulator.reset(seed=seed)
    total = 0.0
    for text in texts:
        reply, reward, terminated, _, _ = simulator.step(text)
        assert reply in ("Yes.", "No.", "I can't answer that.")
        assert set(reply) <= set(REPLY_CHARSET)
        total += reward
        if terminated:
            break
    assert -20 <= total <= 0


@given(st.sampled_from(NAMES), st.integers(0, len(players.forms()) - 1), st.integers(0, 19))
def test_a_question_has_one_answer_whatever_was_asked_before(name: str, number: int, before: int) -> None:
    question = players.forms()[number]
    simulator = at(name)
    for place in range(before):
        simulator.step(players.forms()[(number * 7 + place) % len(players.forms())].text)
    said = simulator.step(question.text)[0]
    assert said == at(name).step(question.text)[0]
    assert said == ("Yes." if question.yes >> FACTS.find(name) & 1 else "No.")


def test_the_transcript_shows_what_was_asked_and_what_is_left() -> None:
    simulator = at("Lion")
    assert simulator.render() == "20 questions left."
    simulator.step("Is it alive?")
    simulator.step("Is it mentioned in\x1b[2J Hamlet?")
    first, second, left = simulator.render().split("\n")
    assert (first.split(), left) == (["1.", "Is", "it", "alive?", "Yes."], "18 questions left.")
    assert second.startswith(" 2. Is it mentioned in\\x1b[2J Hamlet?")
    assert second.endswith(" I can't answer that. (not understood)")
    simulator.step("Is it a lion?")
    assert simulator.render().endswith("Found with question 3.")


def test_a_lost_game_shows_the_object_at_its_end() -> None:
    simulator = at("Lion")
    for number in range(20):
        assert ("1 question left." in simulator.render()) == (number == 19)
        simulator.step("Is it a tiger?")
    assert simulator.render().endswith("The object was: Lion.")


# --- a language model as oracle


def test_a_model_sees_the_object_and_one_question_at_a_time() -> None:
    model = Model("no")
    simulator = at("TV", model)
    simulator.step("Is it alive?")
    simulator.step("Does it have a <|screen|>?")
    first, second = model.shown
    assert "Television, TV" in first[0].content
    assert [turn.role for turn in second] == ["system", "user"]
    assert "alive" not in second[1].content
    assert "<|" not in second[1].content


def test_a_models_text_is_a_yes_or_a_no_or_no_answer() -> None:
    parse = at("Lion", strict=False)._parse
    for text, reply in (
        ("yes", "Yes."), ("Yes, it is.", "Yes."), ("NO", "No."), ("no.", "No."), ("\"Yes.\"", "Yes."),
        ("maybe", None), ("nothing", None), ("", None), ("yesterday", None), ("It is. Yes.", None),
        ("x" * 999_999, None), ("I can't answer that.", None),
    ):  # fmt: skip
        assert parse(text) == reply
    assert at("Lion", Model("it depends"), strict=False).step("Is it alive?")[0] == "No."
    assert at("Lion", Model("it depends")).step("Is it alive?")[0] == "I can't answer that."
    assert at("Lion", Model("I cannot answer this")).step("Is it alive?")[0] == "I can't answer that."


def test_a_model_answers_but_does_not_decide_what_is_won() -> None:
    for text in ("Yes.", "No."):
        simulator = at("Lion", Model(text))
        assert simulator.step("Is it made of metal?")[:2] == (text, -1.0)
        assert simulator.step("Is it a tiger?")[:4] == ("No.", -1.0, False, False)
        assert simulator.step("")[:2] == ("No.", -1.0)
        assert simulator.step("Is it a lion?")[:4] == ("Yes.", 0.0, True, False)


# --- policies


def test_the_expert_finds_every_object_in_time() -> None:
    episodes = rollout(
        TASK, "standard", TASK.policy("expert", "standard"), range(158), options=[{"object": name} for name in NAMES]
    )
    assert all(episode.success for episode in episodes)
    assert max(episode.num_turns for episode in episodes) <= 12
    mean = sum(episode.total_reward for episode in episodes) / 158
    # Seven questions with two answers tell 128 things apart: no policy is on average much better than that.
    assert -9 < mean < -6
    assert mean == pytest.approx(TASK.config().reference.maximum, abs=0.15)


def test_the_expert_goes_by_what_it_is_told() -> None:
    policy = TASK.policy("expert", "standard")
    told = conversation(("Is it a feline?", "Yes."), ("Does it have stripes?", "Yes."))
    assert policy.act([told]) == ["Is it a tiger?"]
    told = conversation(("Is it a feline?", "Yes."), ("Does it have stripes?", "Yes."), ("Is it a tiger?", "No."))
    assert policy.act([told]) != ["Is it a tiger?"]


def test_the_expert_goes_on_where_answers_contradict_each_other() -> None:
    policy = TASK.policy("expert", "standard", seed=3)
    for answer in ("Yes.", "No.", "I can't answer that.", "\x00?"):
        pairs: list[tuple[str, str]] = [("Is it alive?", "Yes."), ("Is it not alive?", "Yes."), ("hm", "No.")]
        for _ in range(16):
            question = policy.act([conversation(*pairs)])[0]
            assert reader().read(question).valid
            pairs.append((question, answer))
        assert (
            reader().read(policy.act([conversation(*pairs)])[0]).guess is not None
        )  # the last question names something


def test_the_random_policy_asks_questions_of_the_table() -> None:
    texts = {form.text for form in players.forms()}
    for episode in rollout(TASK, "standard", TASK.policy("random", "standard"), range(20)):
        assert {turn.content for turn in episode.turns if turn.role == "assistant"} <= texts


# --- the dataset


def test_the_data_is_like_the_papers(data: list[Episode]) -> None:
    statistics, paper = Statistics.of(data).summary(), task_page(TASK).paper
    # Standard errors of 1,500 games: 0.11 questions and 1.2 points.
    assert statistics.length[0] == pytest.approx(paper.length[0], abs=0.4)
    assert statistics.length[1] == pytest.approx(paper.length[1], abs=0.3)
    assert statistics.success_rate == pytest.approx(paper.success_rate, abs=0.03)
    assert statistics.total_reward[0] == pytest.approx(TASK.config().reference.dataset_mean, abs=0.3)


def test_who_gives_up_is_truncated_and_has_not_found_it(data: list[Episode]) -> None:
    for episode in data:
        assert episode.truncated == (not episode.success and episode.num_turns < 20)
        assert episode.info["object"] in NAMES
        assert episode.info["invalid"] == 0
    assert {episode.policy for episode in data} == {"expert", "noisy", "poor"}


def test_better_players_find_more(data: list[Episode]) -> None:
    rates = {name: Statistics.of(data).summary(name).success_rate for name in ("expert", "noisy", "poor")}
    assert rates["expert"] > 0.9
    assert rates["expert"] > rates["noisy"] > rates["poor"] > 0.05


def test_what_players_say_is_read_as_what_they_mean() -> None:
    read = reader().read
    for question in players.spoken()[::7]:
        for point, choice in ((0.0, 0.0), (0.95, 0.0), (0.99, 0.0), (0.99, 0.35), (0.99, 0.65), (0.99, 0.99)):
            text = players._worded(question.text, point, choice)
            assert read(text).yes == question.yes, text
    for number, ways in enumerate(players.guesses()):
        for way in ways:
            assert read(way).guess == number, way


def test_the_data_is_varied(data: list[Episode]) -> None:
    diversity = Diversity(data)
    assert diversity.repeated_dialogues < 0.001 * len(data)
    assert len(diversity.texts) > 5_000


def test_diversity_counts_word_trigrams_questions_and_games() -> None:
    def episode(*texts: str) -> Episode:
        turns = [Turn("user", "Questions:")]
        for text in texts:
            turns += [Turn("assistant", text, -1.0), Turn("user", "No.")]
        return Episode(
            "twenty_questions", "standard", tuple(turns), False, True, 0, "x", {"success": False, "object": "Cat"}
        )

    one, other = episode("Is it alive?", "Is it red?"), episode("Is it alive?", "Is it red?")
    # Four trigrams, two of them distinct; two games, one of them a repetition.
    diversity = Diversity([one, other])
    assert (diversity.distinct_trigrams, diversity.repeated_dialogues, len(diversity.texts)) == (0.5, 1, 2)
    assert data_facts("standard", [one])["objects with a game that found them"] == "0 of 1 played"


def test_names_have_the_article_they_need() -> None:
    def check(name: str, phrase: str) -> None:
        assert players.noun_phrase(name) == phrase

    check_cases(read_cases("twenty_questions/articles.tsv"), check)


# --- the command


def test_a_game_can_be_played_in_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    answers = iter(["Is it an animal?", "Is it a lion?"])
    monkeypatch.setattr("builtins.input", lambda prompt: next(answers))
    with pytest.raises(SystemExit) as caught:
        main(["play", "twenty_questions", "--option", "object=Lion"])
    assert not caught.value.code
    shown = capsys.readouterr().out
    assert "20 questions left." in shown
    assert "1. Is it an animal?" in shown
    assert "You did it. Return: -1." in shown


def test_a_simulator_is_small_when_it_is_pickled() -> None:
    assert len(pickle.dumps(at("Lion"))) < 20_000
