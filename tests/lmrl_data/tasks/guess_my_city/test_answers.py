"""Guess My City reads questions in many words, and says the facts in many words."""

import re

from cases import check_cases, read_cases
from hypothesis import given
from hypothesis import strategies as st

from lmrl_data import get_task
from lmrl_data.tasks.guess_my_city.answers import answers, count_words, wordings
from lmrl_data.tasks.guess_my_city.facts import cities, find_city, fold, to_ascii
from lmrl_data.tasks.guess_my_city.forms import INTENTS, Form, known
from lmrl_data.tasks.guess_my_city.questions import MAX_TEXT, Reading, read


def test_questions_are_read_as_labelled() -> None:
    def check(question: str, expected: str) -> None:
        reading = read(question)
        for label in re.split(r" (?=\w+=)", expected):
            name, _, value = label.partition("=")
            assert str(getattr(reading, name)) == value
        if expected.startswith("intent="):
            assert fold(question) not in known()

    check_cases(read_cases("guess_my_city/questions.tsv"), check)


def test_a_choice_is_no_yes_no_question() -> None:
    reading = read("Is it in the northern or the southern hemisphere?")
    assert (reading.intent, reading.test) == ("hemisphere", None)


def test_what_the_question_begins_with_does_not_matter() -> None:
    plainly = read("What do you eat in your city?")
    for opening in ("So, ", "Okay, ", "Hmm, ", "Thanks! ", "And "):
        assert read(f"{opening}what do you eat in your city?") == plainly


@given(st.text(max_size=2 * MAX_TEXT))
def test_any_text_can_be_read(text: str) -> None:
    reading = read(text)
    assert (reading.act == "ask") == (reading.intent is not None)
    assert len(text) <= MAX_TEXT or reading == Reading("invalid")


WORDS = [
    "is", "it", "the", "city", "you", "are", "from", "lima", "paris", "or", "in", "a", "not", "and", ",", "?", "@",
    "{}", "\\", ".",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS)))
def test_reading_takes_no_time_however_words_are_put_together(words: list[str]) -> None:
    assert read(" ".join(words)[:MAX_TEXT]).act


def test_every_open_answer_says_something_in_several_ways() -> None:
    for city in cities("standard"):
        for intent in INTENTS:
            said = answers(city, Reading("ask", intent))
            assert len(set(said)) >= 4
            assert all(text[0].isupper() or text[0].isdigit() for text in said)
            assert not any("{" in text or "None" in text or "  " in text for text in said), (city.name, intent)


def test_answers_are_about_the_city() -> None:
    lima = find_city("standard", "Lima")
    assert any("ceviche" in text for text in wordings(lima, "food"))
    assert all("Spanish" in text for text in wordings(lima, "language"))
    assert any("UTC-5" in text for text in wordings(lima, "time_zone"))
    assert any("7 am" in text for text in wordings(lima, "time_zone"))


def test_people_are_counted_in_round_numbers() -> None:
    def check(number: int, text: str) -> None:
        assert count_words(number) == text

    check_cases(
        [(98_676, "99,000"), (842_000, "840,000"), (1_000_000, "1 million"), (10_349_312, "10.3 million")], check
    )


def test_words_are_compared_without_accents_case_and_punctuation() -> None:
    assert fold("  Is it SÃO  Paulo, or St. Petersburg?! ") == "is it sao paulo or st petersburg"
    assert fold("Xi'an, 5,000,000") == "xian 5000000"
    assert to_ascii("Łódź") == "Lodz"


def test_the_known_questions_have_one_meaning_each() -> None:
    for form in known().values():
        assert isinstance(form, Form)
        assert form.intent in (*INTENTS, "name", "none")


def test_a_yes_speaks_of_what_was_asked() -> None:
    simulator = get_task("guess_my_city").simulator(config="standard")

    def check(city: str, question: str, word: str) -> None:
        for seed in range(20):
            simulator.reset(seed=seed, options={"city": city})
            reply = simulator.step(question)[0]
            assert reply.startswith("Yes")
            assert word in reply

    cases = [
        ("Osaka", "Do people play football?", "football"),
        ("Cairo", "Do you eat falafel?", "falafel"),
        ("Osaka", "Is baseball popular?", "baseball"),
        ("Lima", "Do you speak Quechua?", "Quechua"),
    ]
    check_cases(cases, check)
