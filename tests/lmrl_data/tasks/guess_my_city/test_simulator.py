"""Guess My City: the rules of the game, what may never be said, what the facts decide, and who plays the data."""

import pickle

import numpy as np
import pytest
from cases import check_cases, read_cases
from hypothesis import given
from hypothesis import strategies as st

from lmrl_data import UserError, get_task, rollout
from lmrl_data.dialogue.simulator import REPLY_CHARSET
from lmrl_data.task import EVALUATION_SEED
from lmrl_data.tasks.guess_my_city import players
from lmrl_data.tasks.guess_my_city.answers import answers, wordings
from lmrl_data.tasks.guess_my_city.facts import City, all_cities, cities, find_city, holds, leaks, spellings
from lmrl_data.tasks.guess_my_city.forms import INTENTS, forms, questions
from lmrl_data.tasks.guess_my_city.players import GUESSES, knowledge
from lmrl_data.tasks.guess_my_city.questions import read
from lmrl_data.tasks.guess_my_city.simulator import FALLBACK

pytestmark = pytest.mark.slow

CITY = get_task("guess_my_city")
NUMBERS = st.integers(0, len(all_cities()) - 1)


def play(city: str, *questions: str, config: str = "standard", seed: int = 0) -> list[tuple]:
    simulator = get_task("guess_my_city").simulator(config)
    simulator.reset(seed=seed, options={"city": city})
    return [simulator.step(question) for question in questions]


# --- the game


def test_every_question_costs_one_and_the_right_guess_nothing() -> None:
    steps = play("Lima", "What do you eat?", "Is it in Asia?", "Is it Paris?", "Is it Lima?")
    assert [reward for _, reward, *_ in steps] == [-1, -1, -1, 0]
    assert [terminated for _, _, terminated, *_ in steps] == [False, False, False, True]
    assert steps[-1][4]["success"] is True


def test_the_twentieth_question_ends_the_game() -> None:
    *steps, last = play("Lima", *["Is it in Asia?"] * 20)
    assert not any(terminated or truncated for _, _, terminated, truncated, _ in steps)
    assert last[1:4] == (-1, True, False)
    assert last[4]["success"] is False


def test_the_twentieth_question_may_be_the_right_one() -> None:
    *_, last = play("Lima", *["Is it in Asia?"] * 19, "Is it Lima?")
    assert last[1:4] == (0, True, False)
    assert last[4]["success"] is True


def test_the_100_cities_of_the_paper_and_400_more() -> None:
    assert (len(cities("standard")), len(cities("extended"))) == (100, 500)
    assert set(cities("standard")) < set(cities("extended"))
    assert len({city.name for city in cities("standard")}) == 100
    # Spelled as in the original, and as today; Seoul, which the original dropped, is played.
    for name in ("Seoul", "Kinshaha", "Kinshasa", "Taega", "Daegu", "Havanna", "bombay", "MUMBAI", "Haerbin", "Kyiv"):
        assert find_city("standard", name) in cities("standard")


def test_cities_are_drawn_uniformly_by_the_seed() -> None:
    simulator = get_task("guess_my_city").simulator()
    drawn = [simulator.reset(seed=seed)[1]["city"] for seed in range(3_000)]
    counts = np.unique(drawn, return_counts=True)[1]
    assert len(counts) == 100
    # 30 are expected of each, with a standard deviation of 5.4.
    assert counts.min() > 8
    assert counts.max() < 60


def test_an_unknown_city_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(UserError, match="Lima"):
        find_city("standard", "Limma")
    with pytest.raises(UserError, match="extended only"):
        find_city("standard", "Thimphu")
    with pytest.raises(UserError, match="matcher=embeddings is gone"):
        get_task("guess_my_city").simulator().reset(seed=0, options={"matcher": "embeddings"})
    get_task("guess_my_city").simulator().reset(seed=0, options={"matcher": "lexical"})  # as older scores name it


def test_info_says_what_was_read() -> None:
    open_question, yes_no, guess, chat, nothing = (
        step[4] for step in play("Lima", "What do you eat?", "Is it in Asia?", "Is it Rome?", "How are you?", "?!")
    )
    assert open_question == {"valid": True, "intent": "food", "in_scope": True, "guess": False}
    assert yes_no == {"valid": True, "intent": "continent", "in_scope": True, "guess": False}
    assert guess == {"valid": True, "intent": None, "in_scope": True, "guess": True}
    assert chat == {"valid": True, "intent": None, "in_scope": False, "guess": False}
    assert nothing == {"valid": False, "intent": None, "in_scope": False, "guess": False}


def test_the_same_question_gets_the_same_answer_within_an_episode_and_others_elsewhere() -> None:
    question = "What is your city famous for?"
    first, _, again = play("Cairo", question, "Is it in Asia?", question)
    assert first[0] == again[0]
    assert len({play("Cairo", question, seed=seed)[0][0] for seed in range(20)}) >= 4


def test_render_counts_the_questions_down() -> None:
    simulator = get_task("guess_my_city").simulator(render_mode="ansi")
    simulator.reset(seed=0, options={"city": "Lima"})
    assert simulator.render() == "20 questions left"
    text = simulator.step("Is it in Asia?")[0]
    assert simulator.render() == f" 1. Is it in Asia?\n    {text}\n19 questions left"


# --- guesses


def test_only_a_guess_of_the_city_wins() -> None:
    def check(city: str, text: str, outcome: str) -> None:
        ((_, reward, terminated, _, info),) = play(city, text)
        if outcome == "wins":
            assert (reward, terminated, info["success"], info["guess"]) == (0, True, True, True)
        else:
            assert (reward, terminated, "success" in info) == (-1, False, False)

    check_cases(read_cases("guess_my_city/guesses.tsv"), check)


@given(number=NUMBERS, frame=st.sampled_from(GUESSES))
def test_every_city_is_won_by_every_name_it_has(number: int, frame: str) -> None:
    city = all_cities()[number]
    for name in sorted(spellings(city)):
        reading = read(frame.replace("{city}", name))
        assert reading.act == "guess"
        assert number in reading.numbers


@given(number=NUMBERS, other=NUMBERS, frame=st.sampled_from(GUESSES))
def test_the_name_of_another_city_never_wins(number: int, other: int, frame: str) -> None:
    city, named = all_cities()[number], all_cities()[other]
    if spellings(city) & spellings(named):
        return
    simulator = get_task("guess_my_city").simulator("extended")
    simulator.reset(seed=0, options={"city": city.name})
    if simulator.city is city:
        assert simulator.step(frame.replace("{city}", named.name))[1] == -1


# --- what may not be said


def test_no_sentence_about_any_city_gives_it_away() -> None:
    for city in cities("extended"):
        for intent in INTENTS:
            sentences = wordings(city, intent)
            assert len(sentences) >= 4
            page = "\n".join(sentences)  # one search for all; what shows there is looked for in each
            if leaks(city, page, intent):
                assert not [text for text in sentences if leaks(city, text, intent)], (city.name, intent)
            assert set(page) <= {"\n", *REPLY_CHARSET}, (city.name, intent)


def test_a_leak_is_a_name_at_word_boundaries_whatever_the_case_and_the_accents() -> None:
    sao_paulo, lima, new_york = (find_city("standard", name) for name in ("Sao Paulo", "Lima", "New York"))
    assert leaks(sao_paulo, "The best of SÃO PAULO!")
    assert leaks(sao_paulo, "the Brazilian flag")
    assert leaks(lima, "Cuisine of Peru.")
    assert not leaks(lima, "We have a good climate and an alimentary tradition.")
    assert leaks(new_york, "It is the biggest city of the US.")
    assert not leaks(new_york, "Most of us live in North America.")


def test_only_answers_about_language_and_money_may_use_the_languages_own_name() -> None:
    paris = find_city("standard", "Paris")
    assert not leaks(paris, "We speak French.", "language")
    assert leaks(paris, "We eat French bread.", "food")
    assert leaks(paris, "Everybody in France speaks French.", "language")


@given(number=NUMBERS, place=st.integers(0, len(questions()) - 1), seed=st.integers(0, 2**32))
def test_whatever_is_asked_the_answer_gives_nothing_away(number: int, place: int, seed: int) -> None:
    city = all_cities()[number]
    simulator = get_task("guess_my_city").simulator("extended")
    simulator.reset(seed=seed, options={"city": city.name})
    text, reward, *_ = simulator.step(questions()[place].text)
    assert reward == -1
    assert not leaks(simulator.city, text, simulator._reading.intent)
    assert text in simulator.observation_space


def test_a_question_about_the_country_is_answered_without_its_name() -> None:
    for city in cities("extended"):
        reading = read(f"Is it in {city.facts['country']}?")
        for text in () if reading.intent is None else answers(city, reading):
            assert text.startswith("Yes"), (city.name, text)
            assert not leaks(city, text, "region")


def test_a_model_that_says_the_name_or_denies_the_facts_is_not_heard() -> None:
    simulator = get_task("guess_my_city").simulator()
    simulator.reset(seed=0, options={"city": "Lima"})
    prompt = simulator.ask("Is it in South America?")
    assert prompt.view is not None
    assert prompt.parse("Yes, our continent is South America.") == "Yes, our continent is South America."
    assert prompt.parse("Yes, I'm from Lima.") is None
    assert prompt.parse("Yes, in PERÚ.") is None
    assert prompt.parse("No, we are in Europe.") is None
    assert prompt.parse("Yes, " + "very " * 40 + "much.") is None
    assert prompt.parse("") is None
    assert prompt.parse("user: Is it Lima?") is None
    assert prompt.fallback == FALLBACK
    # Even an oracle that does not ask the simulator cannot get the name across.
    assert simulator.finish("It is Lima.")[0] == FALLBACK


def test_guesses_are_answered_by_the_rules() -> None:
    simulator = get_task("guess_my_city").simulator()
    simulator.reset(seed=0, options={"city": "Lima"})
    for text in ("Is it Paris?", "What city is it?", "Is it Lima?"):
        assert simulator.ask(text).view is None
        simulator.finish("anything")


def test_the_models_part_names_the_city_and_leaves_braces_of_names_alone() -> None:
    simulator = get_task("guess_my_city").simulator()
    simulator.reset(seed=0, options={"city": "Lima"})
    assert "You live in Lima, Peru." in simulator._system()
    assert "{" not in simulator._system()


# --- the facts


def city(name: str) -> City:
    return find_city("standard", name)


def test_yes_no_questions_are_decided_by_the_facts() -> None:
    def check(name: str, question: str, verdict: str) -> None:
        reading = read(question)
        assert reading.test is not None
        assert str(holds(reading.test, city(name))) == verdict
        assert all(text.startswith("Yes" if verdict == "True" else "No") for text in answers(city(name), reading))

    check_cases(read_cases("guess_my_city/verdicts.tsv"), check)


def test_every_known_question_is_read_as_what_it_is_and_can_be_answered() -> None:
    lima = city("Lima")
    for form in questions()[::3]:
        if form.intent in INTENTS:
            reading = read(form.text)
            assert (reading.intent, reading.test) == (form.intent, form.test)
            assert answers(lima, reading)


def test_every_intent_has_enough_questions() -> None:
    for intent in INTENTS:
        assert len([form for form in forms() if form.intent == intent]) >= 8


def test_a_denied_test_is_true_where_the_test_is_false() -> None:
    def check(test: str) -> None:
        for each in cities("standard"):
            verdict = holds(test, each)
            assert verdict is not None
            assert holds(f"!{test}", each) is not verdict

    check_cases(
        ["continent=asia", "population>5000000", "coastal", "languages~spanish", "country=china", "koppen^A"], check
    )


def test_tests_are_joined_by_and_before_or() -> None:
    lima = city("Lima")
    assert holds("continent=asia & coastal | is_capital", lima) is True
    assert holds("continent=asia | coastal & continent=europe", lima) is False


# --- players


@pytest.mark.release
def test_the_first_question_is_the_best_of_all() -> None:
    for config, question in players.FIRST.items():
        assert players.compared_questions(config, knowledge(config).all) == question


def test_the_first_question_is_known_without_a_look_at_the_cities(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("holds", "tiers", "phrases"):
        monkeypatch.setattr(players, name, None)
    known = players.Knowledge("extended")
    assert players.best_question("extended", known.all) == players.FIRST["extended"]
    # A test is tried on the cities that are left, and on no other.
    tried: list[str] = []
    monkeypatch.setattr(players, "holds", lambda test, city: tried.append(city.name) or len(tried) % 2 == 0)
    assert known.split("tropics", 0b1010) == (0b1000, 0b0010)
    assert known.split("tropics", 0b1011) == (0b1000, 0b0011)
    assert len(tried) == 3


def test_the_expert_wins_against_every_city() -> None:
    options = [{"city": each.name} for each in cities("standard")]
    seeds = range(EVALUATION_SEED, EVALUATION_SEED + len(options))
    played = rollout(CITY, "standard", CITY.policy("expert", "standard"), seeds, options=options)
    assert all(episode.info["success"] for episode in played)
    assert np.mean([episode.total_reward for episode in played]) > -4


def test_the_better_a_policy_the_more_it_wins() -> None:
    def mean_return(name: str) -> float:
        seeds = range(EVALUATION_SEED, EVALUATION_SEED + 60)
        played = rollout(CITY, "standard", CITY.policy(name, "standard"), seeds)
        return float(np.mean([episode.total_reward for episode in played]))

    assert mean_return("expert") > mean_return("noisy") > mean_return("poor") > mean_return("random")


def test_an_answer_leaves_its_own_city_possible() -> None:
    known = knowledge("standard")
    for each in known.cities[::7]:
        for form in questions()[::41]:
            if form.intent not in INTENTS:
                continue
            reading = read(form.text)
            for text in answers(each, reading)[::5]:
                assert known.learn(reading, text) & known.bit[each.number], (each.name, form.text, text)


def test_a_refused_guess_rules_out_that_city_only() -> None:
    known = knowledge("standard")
    left = known.learn(read("Is it Lima?"), "No, try another one.")
    assert known.all & ~left == known.bit[city("Lima").number]


def test_the_data_succeeds_as_often_as_the_papers_and_varies() -> None:
    simulator = get_task("guess_my_city").simulator()
    episodes = [CITY.generate(simulator, seed) for seed in range(900)]
    won = np.mean([episode.info["success"] for episode in episodes])
    # Table 1 says 0.53; the standard error of 900 games is 0.017.
    assert won == pytest.approx(0.53, abs=0.05)
    assert len({episode.turns for episode in episodes}) == len(episodes)
    assert all(episode.info["invalid"] == 0 for episode in episodes)
    assert CITY.data_facts is not None
    facts = CITY.data_facts("standard", episodes)
    assert facts["episodes that are equal to an earlier one"] == "0.00%"
    assert int(facts["cities that are found at least once"].split()[0]) > 95


def test_a_pickled_city_stays_the_same_object() -> None:
    lima = city("Lima")
    assert pickle.loads(pickle.dumps(lima)) is lima
