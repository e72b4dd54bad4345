"""Wordle's feedback, lists, policies and columns, held against examples worked by hand and a second way to count."""

import hashlib
import itertools
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import check_cases
from hypothesis import given
from hypothesis import strategies as st

from lmrl_data import Episode, Policy, Turn, UserError, get_task, rollout
from lmrl_data.cli import main
from lmrl_data.dataset.page import task_page
from lmrl_data.dataset.statistics import Statistics
from lmrl_data.policy import Conversation
from lmrl_data.tasks.wordle import words as wordle_words
from lmrl_data.tasks.wordle.columns import table
from lmrl_data.tasks.wordle.counter_random import RANGE, _mix, below, draw
from lmrl_data.tasks.wordle.players import ConsistentPolicy, GreedyPolicy
from lmrl_data.tasks.wordle.simulator import WordleSimulator
from lmrl_data.tasks.wordle.words import ASSETS, FEEDBACKS, SIZES, feedback, list_words, sample, word_game

WORDLE = get_task("wordle")
CONFIGS = tuple(WORDLE.configs)
SMALL = ("panic", "doing", "motto", "creme", "elect", "glade")


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A word list of the user's own."""
    path = tmp_path / "small.txt"
    path.write_text("\n".join(SMALL))
    return str(path)


def at(target: str, config: str = "words_400", **options: object) -> WordleSimulator:
    simulator = get_task("wordle").simulator(config)
    simulator.reset(seed=0, options={"target": target, **options})
    return simulator


def spaced(word: str) -> str:
    return " ".join(word)


def conversation(*pairs: tuple[str, str], seed: int = 0) -> Conversation:
    turns = [Turn("user", "Wordle:")]
    for said, seen in pairs:
        turns += [Turn("assistant", said), Turn("user", seen)]
    return Conversation(seed, None, turns)


# --- feedback


def test_a_game_of_three_guesses(small: str) -> None:
    simulator = get_task("wordle").simulator()
    assert simulator.reset(seed=0, options={"vocab": small, "target": "motto"}) == ("Wordle:", {"target": "motto"})
    assert simulator.step("p a n i c\n") == ("b b b b b", -1.0, False, False, {"valid": True})
    assert simulator.step("d o i n g\n") == ("b g b b b", -1.0, False, False, {"valid": True})
    assert simulator.step("m o t t o\n") == ("g g g g g", 0.0, True, False, {"valid": True, "success": True})


@pytest.mark.parametrize(
    ("guess", "target", "paper", "official"),
    [
        ("creme", "elect", "y b g b y", "y b g b y"),
        ("creme", "glade", "b b y b g", "b b b b g"),
        ("speed", "abide", "b b y y y", "b b y b y"),
        ("motto", "doing", "b g b b y", "b g b b b"),
        ("abbey", "kebab", "y y g y b", "y y g y b"),
        ("geese", "eerie", "b g y b g", "b g y b g"),
        ("shire", "shire", "g g g g g", "g g g g g"),
    ],
)
def test_second_yellow_letter_is_not_counted_twice(guess: str, target: str, paper: str, official: str) -> None:
    assert feedback(guess, target) == paper
    assert feedback(guess, target, "official") == official


def official_by_counting(guess: str, target: str) -> str:
    """A second way: letters not in place are handed out from the target's count."""
    left = Counter(target) - Counter(a for a, b in zip(guess, target, strict=True) if a == b)
    marks = []
    for a, b in zip(guess, target, strict=True):
        marks.append("g" if a == b else "y" if left[a] > 0 else "b")
        left[a] -= a != b
    return " ".join(marks)


letters = st.text("abc", min_size=5, max_size=5)


@given(guess=letters, target=letters)
def test_official_feedback_agrees_with_counting(guess: str, target: str) -> None:
    assert feedback(guess, target, "official") == official_by_counting(guess, target)


@pytest.mark.parametrize("rules", ["paper", "official"])
def test_the_table_of_codes_has_the_feedback_of_every_pair(rules: str) -> None:
    # Repeated letters in every way, then the words of a list.
    for words in [tuple(map("".join, itertools.product("ab", repeat=5))), list_words("words_200")]:
        game = word_game(words, rules)
        assert game.codes.shape == (len(words), len(words))
        for i, guess in enumerate(words):
            assert [FEEDBACKS[code] for code in game.codes[i]] == [feedback(guess, word, rules) for word in words]


def test_a_guess_outside_the_list_tells_as_much_as_one_inside() -> None:
    game = word_game(SMALL)
    row = game.row("e e r i e")
    assert row is not None
    assert [FEEDBACKS[code] for code in row] == [feedback("eerie", word) for word in SMALL]
    assert game.row("eeries") is None


def test_the_official_rules_are_an_option() -> None:
    assert at("abide", "full").step("s p e e d")[0] == "b b y y y"
    assert at("abide", "full", rules="official").step("s p e e d")[0] == "b b y b y"


# --- guesses


@pytest.mark.parametrize("action", ["s h i r e", "shire", "s h i r e\n", " shire", "sh ire ", "s  h i r e"])
def test_spaces_do_not_matter(action: str) -> None:
    assert at("motto").step(action) == ("b b b b b", -1.0, False, False, {"valid": True})


def test_what_is_no_word_of_the_list_gets_an_empty_line_and_costs_a_try() -> None:
    def check(action: str) -> None:
        simulator = at("motto")
        for attempt in range(6):
            text, reward, terminated, truncated, info = simulator.step(action)
            assert (text, reward, truncated, info["valid"]) == ("", -1.0, False, False)
            assert terminated == (attempt == 5)
        assert info == {"valid": False, "success": False}

    check_cases(
        [
            "x y z z y",
            "s h i r",
            "s h i r e s",
            "S h i r e",
            "SHIRE",
            "s,h,i,r,e",
            "s\th i r e",
            "",
            "Wordle:",
            "g g g g g",
            "ｓhire",
            "shire shire",
            "s" + " " * 1_000 + "hire",
            "shire" * 100_000,
        ],
        check,
    )


def test_words_of_other_lists_are_no_guesses() -> None:
    assert at("motto").step("p a n i c")[4] == {"valid": False}
    assert at("motto", "full").step("p a n i c")[4] == {"valid": True}


def test_the_price_of_an_invalid_guess_is_an_option() -> None:
    simulator = at("motto", invalid_reward=-10)
    assert simulator.step("x y z z y")[1] == -10.0
    assert simulator.step("s h i r e")[1] == -1.0


def test_six_wrong_words_return_minus_six_and_lose() -> None:
    simulator = at("motto")
    steps = [simulator.step("s h i r e") for _ in range(6)]
    assert sum(step[1] for step in steps) == -6
    assert [step[2] for step in steps] == [False] * 5 + [True]
    assert steps[-1][3:] == (False, {"valid": True, "success": False})


def test_the_word_at_the_sixth_try_returns_minus_five_and_wins() -> None:
    simulator = at("motto")
    steps = [simulator.step(action) for action in ["s h i r e", "?", "s h i r e", "?", "d o i n g", "m o t t o"]]
    assert sum(step[1] for step in steps) == -5
    assert steps[-1] == ("g g g g g", 0.0, True, False, {"valid": True, "success": True})


# --- targets


def test_every_word_is_as_often_the_target_as_any_other() -> None:
    words = list_words("words_200")
    targets = Counter(get_task("wordle").simulator("words_200").reset(seed=seed)[1]["target"] for seed in range(2_360))
    assert set(targets) <= set(words)
    # Chi-square with 235 degrees of freedom: mean 235, deviation 22.
    assert 170 < sum((targets[word] - 10) ** 2 / 10 for word in words) < 310


def test_resets_without_a_seed_go_on_to_other_targets() -> None:
    simulator, twin = get_task("wordle").simulator(), get_task("wordle").simulator()
    first = [simulator.reset(seed=3)[1], *(simulator.reset()[1] for _ in range(10))]
    assert first == [twin.reset(seed=3)[1], *(twin.reset()[1] for _ in range(10))]
    assert len({info["target"] for info in first}) > 5


def test_a_wrong_option_is_refused_in_one_line() -> None:
    def check(options: dict[str, Any], message: str) -> None:
        with pytest.raises(UserError) as caught:
            get_task("wordle").simulator().reset(options=options)
        assert message in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 300

    check_cases(
        [
            ({"target": "panic"}, "the target 'panic' is none of the 431 words played"),
            ({"target": "x" * 1_000_000}, "none of the 431 words"),
            ({"target": ["motto"]}, "none of the 431 words"),
            ({"rules": "house"}, "unknown wordle rules 'house'; choose from: paper, official"),
            ({"invalid_reward": 1}, "not above 0, got '1'"),
            ({"invalid_reward": "nan"}, "not above 0, got 'nan'"),
            ({"invalid_reward": "much"}, "not above 0, got 'much'"),
            ({"vocab": "/no/such/file"}, "the vocab '/no/such/file' is no file"),
            ({"vocab": "\0"}, "the vocab '\\x00'"),
            ({"vocab": 7}, "the vocab '7' is no file"),
            ({"vocab": "/"}, "the vocab '/' is no file"),
            ({"vocab": "/dev/zero"}, "the vocab '/dev/zero' is no file"),
        ],
        check,
    )


# --- the lists


@pytest.mark.parametrize(("config", "size"), [*SIZES.items(), ("full", 2_309)])
def test_the_frozen_lists_have_the_checksums_that_the_card_states(config: str, size: int) -> None:
    assert len(list_words(config)) == size == len(set(list_words(config)))
    name = "answers" if config == "full" else config
    checksum = hashlib.sha256((ASSETS / f"{name}.txt").read_bytes()).hexdigest()
    assert f"| `{config}` | {size:,} | `{checksum}` |" in task_page(WORDLE).text
    if config == "words_400":
        assert checksum == "ccdc08fb33789c0d5b3cd614f8885ab9879eb49e26e65bba5c701106362595e0"


def test_the_small_lists_can_be_drawn_again_from_the_answers() -> None:
    for config, size in SIZES.items():
        assert sample(list_words("full"), size) == list_words(config)
    lists = [set(list_words(config)) for config in SIZES]
    assert not any(one <= other for one, other in itertools.permutations(lists, 2))


def test_all_answers_are_allowed_and_the_notices_lie_beside_them() -> None:
    allowed = wordle_words.file_words(ASSETS / "allowed.txt")
    assert len(allowed) == 11_347
    assert set(list_words("full")) <= set(allowed)
    assert "Kevin Atkinson" in (ASSETS / "SCOWL-NOTICE.txt").read_text("utf-8")
    assert "WordNet" in (ASSETS / "WORDNET-NOTICE.txt").read_text("utf-8")


def test_of_a_users_list_only_lines_of_five_letters_count(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(
        b"motto\r\n  doing \n\npan\ngeese\ngeese\nSHIRE\nit's \nt\xc3\xa9l\xc3\xa9x\nsolar extra\nlonger\n"
    )
    assert wordle_words.file_words(path) == ("motto", "doing", "geese")


def test_a_users_list_is_read_again_when_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    simulator = get_task("wordle").simulator(options={"vocab": str(path)})
    for words in (("motto", "doing"), ("geese", "shire")):
        path.write_text("\n".join(words))
        assert simulator.reset(seed=0)[1]["target"] in words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has 0 words"),
        (b"motto\n", "has 1 words"),
        (b"\xff\xfe\x00", "it is no text"),
        (b"a" * 10_000_001, "more than 10,000,000 bytes"),
        ("\n".join(map("".join, itertools.product("abcdefgh", repeat=5))).encode(), "has 32,768 words"),
    ],
)
def test_a_file_that_is_no_word_list_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        get_task("wordle").simulator().reset(options={"vocab": str(path)})


# --- policies


def test_policies_know_what_the_answers_told() -> None:
    game = word_game(SMALL)
    known = [("p a n i c", "b b b b b"), ("doing", "b g b b b")]
    assert [SMALL[i] for i in np.flatnonzero(game.consistent(known))] == ["motto"]
    # What is no guess or no feedback tells nothing.
    junk = [("doing", ""), ("x y", "b b b b b"), ("doing", "b g b b"), ("", "g g g g g"), ("?" * 1_000, "Success")]
    assert game.consistent(junk).all()


def word_by_word(policy: Policy, config: str, seeds: range) -> list[tuple[list[str], str]]:
    """The guesses of each game, and its target."""
    episodes = rollout(WORDLE, config, policy, seeds)
    guesses = [[turn.content.replace(" ", "") for turn in e.turns if turn.role == "assistant"] for e in episodes]
    return [(said, episode.info["target"]) for said, episode in zip(guesses, episodes, strict=True)]


def agrees(guess: str, before: list[str], target: str) -> bool:
    return all(feedback(word, guess) == feedback(word, target) for word in before)


def test_the_consistent_policy_never_contradicts_an_answer_and_the_wrong_one_always_does() -> None:
    for said, target in word_by_word(WORDLE.policy("consistent", "words_400"), "words_400", range(100)):
        assert all(agrees(guess, said[:i], target) for i, guess in enumerate(said))
    for said, target in word_by_word(WORDLE.policy("wrong", "words_400"), "words_400", range(100)):
        assert not any(agrees(guess, said[:i], target) for i, guess in enumerate(said) if i)


def test_the_random_policy_is_right_one_time_in_431() -> None:
    episodes = rollout(WORDLE, "words_400", WORDLE.policy("random", "words_400"), range(400))
    assert np.mean([episode.success for episode in episodes]) == pytest.approx(6 / 431, abs=0.02)
    assert len({turn.content for episode in episodes for turn in episode.turns if turn.role == "assistant"}) > 400


def test_the_greedy_policy_takes_the_possible_word_with_the_most_information() -> None:
    words = list_words("words_200")
    policy = GreedyPolicy("words_200", 0)
    for known in ([], [("g l o r y", "b b b b b")], [("g l o r y", "b b b b b"), ("m a c l e", "b y b b y")]):
        possible = [w for w in words if all(feedback(a.replace(" ", ""), w) == text for a, text in known)]

        def information(guess: str, possible: list[str] = possible) -> float:
            sizes = np.array(list(Counter(feedback(guess, word) for word in possible).values())) / len(possible)
            return -float((sizes * np.log2(sizes)).sum())

        chosen = policy.act([conversation(*known)])[0].replace(" ", "")
        assert chosen in possible
        assert information(chosen) == pytest.approx(max(map(information, possible)), abs=1e-6)


def greedy_total(config: str) -> float:
    """The sum of the greedy policy's returns over all targets, from the tree of its guesses."""
    game = word_game(list_words(config))

    def total(possible: np.ndarray, tries: int) -> float:
        codes = game.codes[game.most_informative(possible), possible]
        rest = [possible[codes == code] for code in np.unique(codes) if FEEDBACKS[code] != "g g g g g"]
        return sum(-len(group) + (total(group, tries + 1) if tries < 6 else 0) for group in rest)

    return total(np.arange(len(game.words)), 1)


@pytest.mark.parametrize("config", CONFIGS)
def test_the_maximum_is_the_greedy_policys_mean_over_all_targets(config: str) -> None:
    reference = WORDLE.config(config).reference
    assert reference.maximum == pytest.approx(greedy_total(config) / len(list_words(config)), abs=5e-5)
    assert reference.minimum == -6


def test_greedy_games_add_up_to_minus_849_over_the_431_targets() -> None:
    options = [{"target": word} for word in list_words("words_400")]
    episodes = rollout(WORDLE, "words_400", WORDLE.policy("greedy", "words_400"), range(431), options=options)
    assert sum(episode.total_reward for episode in episodes) == greedy_total("words_400") == -849
    assert all(episode.success for episode in episodes)


@pytest.mark.parametrize("name", list(WORDLE.policies))
def test_policies_find_their_way_in_a_foreign_conversation(name: str) -> None:
    foreign = [
        Conversation(0, None, [Turn("system", "g g g g g"), Turn("user", "Hello")]),
        conversation(("Is it a lion?", "No."), ("panic", "b b b b b"), ("", "")),
        conversation(("s h i r e", "g g g g g"), ("s h i r e", "b b b b b")),  # nothing agrees
        conversation(*[("s h i r e", "b b b b b")] * 20),
        Conversation(0, 1, [Turn("user", "Wordle:"), Turn("assistant", "shire"), Turn("user", "b b b b b")]),
    ]
    for action in WORDLE.policy(name, "words_400").act(foreign):
        assert word_game(list_words("words_400")).number(action) is not None


def test_policies_can_play_a_users_list_by_the_official_rules(small: str) -> None:
    options = [{"vocab": small, "rules": "official", "target": word} for word in SMALL]
    policy = ConsistentPolicy("words_400", 0, small, "official")
    assert all(episode.success for episode in rollout(WORDLE, "words_400", policy, range(6), options=options))


# --- the dataset


def rows(simulator: WordleSimulator, seeds: range) -> list[dict[str, Any]]:
    made = table(simulator, seeds)
    made = made.set_column(made.num_columns - 1, "info", made["info"].combine_chunks().storage)
    return [{**row, "info": json.loads(row["info"])} for row in made.to_pylist()]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_columns_hold_the_games_that_are_played_one_by_one(config: str) -> None:
    simulator = get_task("wordle").simulator(config)
    for seeds in (range(300), range(1_000_000, 1_000_020)):
        assert rows(simulator, seeds) == [WORDLE.generate(simulator, seed).to_row() for seed in seeds]


def test_the_columns_are_stored_as_rows_are() -> None:

    from lmrl_data.rows import episode_table

    simulator = get_task("wordle").simulator()
    by_row = episode_table([WORDLE.generate(simulator, seed) for seed in range(50)])
    made = table(simulator, range(50))
    assert made.equals(by_row, check_metadata=True)
    made.validate(full=True)


def test_the_columns_follow_the_options(small: str) -> None:
    for options in ({"rules": "official"}, {"target": "motto"}, {"vocab": small}, {"vocab": small, "target": "glade"}):
        simulator = get_task("wordle").simulator(options=options)
        assert rows(simulator, range(100)) == [WORDLE.generate(simulator, seed).to_row() for seed in range(100)]


def test_the_columns_do_not_depend_on_where_they_are_cut() -> None:
    simulator = get_task("wordle").simulator()
    assert rows(simulator, range(40)) == [*rows(simulator, range(13)), *rows(simulator, range(13, 40))]


@pytest.mark.parametrize("config", CONFIGS)
def test_the_dataset_mean_is_what_the_data_returns(config: str) -> None:
    size = 20_000 if config == "full" else 50_000
    returns = table(get_task("wordle").simulator(config), range(size))["total_reward"].to_numpy()
    error = returns.std() / size**0.5
    assert WORDLE.config(config).reference.dataset_mean == pytest.approx(returns.mean(), abs=4 * error)


def test_the_data_has_the_papers_statistics_as_nearly_as_other_words_allow() -> None:
    made = [Episode.from_row(row) for row in rows(get_task("wordle").simulator(), range(8_000))]
    ours, paper = Statistics.of(made).summary(), task_page(WORDLE).paper
    assert ours.total_reward == pytest.approx(paper.total_reward, abs=0.05)
    assert ours.length == pytest.approx(paper.length, abs=0.05)
    assert ours.success_rate == pytest.approx(paper.success_rate, abs=0.02)


def test_the_scripted_mixture_plays_as_the_data_does() -> None:
    episodes = rollout(WORDLE, "words_400", WORDLE.policy("mixture", "words_400"), range(1_000))
    mean = np.mean([episode.total_reward for episode in episodes])
    assert mean == pytest.approx(WORDLE.config().reference.dataset_mean, abs=4 * 1.6 / 1_000**0.5)


def test_a_build_is_made_of_the_columns_and_its_statistics_are_those_of_its_episodes(tmp_path: Path) -> None:
    from lmrl_data.dataset.build import build_dataset
    from lmrl_data.dataset.folder import read_episodes, read_statistics

    task = replace(WORDLE, shard_episodes=120)
    folder = build_dataset(task, "words_200", 300, output_dir=tmp_path)
    episodes = list(read_episodes(folder, "words_200", "train"))
    assert episodes == [WORDLE.generate(get_task("wordle").simulator("words_200"), seed) for seed in range(300)]
    for one, other in zip(read_statistics(folder, "words_200", "train"), Statistics.of(episodes), strict=True):
        assert one.dtype == other.dtype
        assert sorted(one) == sorted(other)


# --- random numbers by count


def test_the_mixer_is_splitmix64s() -> None:
    # The first numbers of SplitMix64 from the seed 1234567, as published.
    states = [(1234567 + n * 0x9E3779B97F4A7C15) % 2**64 for n in (1, 2, 3)]
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [_mix(state) for state in states] == published
    assert _mix(np.array(states, dtype=np.uint64)).tolist() == published


@given(seeds=st.lists(st.integers(0, 2**64 - 1), min_size=1), index=st.integers(0, 100), size=st.integers(1, 2**31))
def test_one_seed_draws_what_an_array_of_seeds_draws(seeds: list[int], index: int, size: int) -> None:
    drawn = draw(np.array(seeds, dtype=np.uint64), index)
    assert drawn.tolist() == [draw(seed, index) for seed in seeds]
    assert below(drawn, size).tolist() == [below(draw(seed, index), size) for seed in seeds]
    assert all(0 <= number < size for number in below(drawn, size).tolist())


def test_neighbouring_seeds_and_indices_have_nothing_in_common() -> None:
    drawn = np.stack([draw(np.arange(20_000, dtype=np.uint64), index) for index in range(4)]) / RANGE
    assert drawn.mean(1) == pytest.approx([0.5] * 4, abs=0.01)
    pairs = np.corrcoef(np.concatenate([drawn[:, 1:], drawn[:, :-1]]))
    assert np.abs(pairs - np.eye(8)).max() < 0.03


# --- the board


def test_the_board_is_coloured_and_says_what_is_known_of_each_letter() -> None:
    simulator = at("motto")
    simulator.step("d o i n g")
    simulator.step("\x1b[2Jpanic")
    board = simulator.render()
    assert "\x1b[97;100mD\x1b[0m \x1b[30;42mO\x1b[0m \x1b[97;100mI\x1b[0m" in board
    assert "(not in the list)" in board
    assert "\x1b[2J" not in board  # what was said is not shown as it is
    assert board.count("· · · · ·") == 4
    assert board.endswith("n\x1b[0m \x1b[30;42mo\x1b[0m p q r s t u v w x y z")


def test_a_lost_board_tells_the_word() -> None:
    simulator = at("motto")
    for _ in range(6):
        assert "motto" not in simulator.render()
        simulator.step("s h i r e")
    assert simulator.render().endswith("The word was motto.")


def test_a_person_can_play_on_the_command_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    guesses = iter(["shire", "d o i n g", "motto"])
    monkeypatch.setattr("builtins.input", lambda prompt="": print(prompt) or next(guesses))
    with pytest.raises(SystemExit) as ended:
        main(["play", "wordle", "--option", "target=motto"])
    assert ended.value.code in (0, None)
    assert "You did it. Return: -2." in capsys.readouterr().out
