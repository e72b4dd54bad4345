"""Guess My City reads questions in many words, and says the facts in many words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmrl_data import get_task
from lmrl_data.tasks.guess_my_city.answers import answers, count_words, wordings
from lmrl_data.tasks.guess_my_city.facts import cities, find_city, fold, to_ascii
from lmrl_data.tasks.guess_my_city.forms import INTENTS, Form, known
from lmrl_data.tasks.guess_my_city.questions import MAX_TEXT, Reading, read


@pytest.mark.parametrize(
    ("question", "intent"),
    [
        ("Which continent would you place your city on?", "continent"),
        ("What corner of the globe do you call home?", "region"),
        ("Does winter come in July where you are?", "hemisphere"),
        ("Are you between the Tropic of Cancer and the Tropic of Capricorn?", "tropics"),
        ("Do big ships dock in your city?", "coast"),
        ("Will I need an umbrella?", "climate"),
        ("Do you need air conditioning to survive the summer?", "temperature"),
        ("Could I build a snowman in your city?", "snow"),
        ("Is it the most populous city in its country?", "population"),
        ("How many feet above sea level are you?", "elevation"),
        ("Can you see any volcanoes from there?", "terrain"),
        ("Do you live along the Danube?", "river"),
        ("Is your city the seat of government?", "capital"),
        ("How would I say hello to the people there?", "language"),
        ("What should I have in my wallet when I visit?", "currency"),
        ("Do people mostly go to church?", "religion"),
        ("What would your grandmother cook for guests?", "food"),
        ("Is the Eiffel Tower in your city?", "landmarks"),
        ("Was your city bombed in World War II?", "history"),
        ("Were you once a British colony?", "independence"),
        ("Is there a royal family?", "government"),
        ("Do a lot of people work in factories?", "economy"),
        ("Does your nation sell oil to other countries?", "exports"),
        ("Do you have vineyards?", "agriculture"),
        ("Which team do you support?", "sport"),
        ("Are there a lot of motorcycles on the streets?", "transport"),
        ("What does it say on a plane ticket to your city?", "airport"),
        ("Which side is the steering wheel on?", "driving_side"),
        ("How many hours ahead of GMT are you?", "time_zone"),
        ("Which nations surround your country?", "neighbours"),
        ("What's your claim to fame?", "known_for"),
        ("What kind of dances do people do?", "culture"),
        ("When do you set off fireworks?", "holiday"),
        ("How would I recognise your flag?", "flag"),
    ],
)
def test_questions_that_nobody_wrote_down_are_read_by_their_words(question: str, intent: str) -> None:
    assert fold(question) not in known()
    assert read(question).intent == intent


@pytest.mark.parametrize(
    "question",
    [
        "What city is it?",
        "Which country do you live in?",
        "What is the name of your hometown?",
        "What letter does it start with?",
        "How do you spell your city's name?",
        "Can you just tell me the answer?",
        "What is your nationality?",
    ],
)
def test_whoever_asks_for_the_name_is_refused(question: str) -> None:
    assert read(question).act == "name"


@pytest.mark.parametrize(
    "question",
    ["What is the name of your river?", "Which country borders yours?", "What is your national dish called?"],
)
def test_other_names_may_be_asked_for(question: str) -> None:
    assert read(question).act == "ask"


@pytest.mark.parametrize(
    "question",
    ["How are you?", "What is 15 times 3?", "Do you know any good jokes?", "Are you an AI?", "lol", "Thanks!"],
)
def test_what_is_not_about_a_city_is_out_of_scope(question: str) -> None:
    assert read(question).act == "none"


@pytest.mark.parametrize(
    ("question", "test"),
    [
        ("Is it in Asia?", "continent=asia"),
        ("Is it not in Asia?", "!continent=asia"),
        ("Isn't it in Asia?", "continent=asia"),
        ("Can you tell me if it is in Asia?", "continent=asia"),
        ("Does it have more than 1.5 million people?", "population>1500000.0"),
        ("Are there between 3 and 5 million people in your city?", "population:3e+06..5e+06"),
        ("Do you live above 1500 m?", "elevation_m>1500.0"),
        ("Is your time zone UTC+8?", "utc_offset=8"),
        ("Do you eat sushi?", "food~sushi"),
        ("Is your flag red and white?", "flag_colours=red+white"),
        ("Is it in the Middle East?", "area=middle east"),
    ],
)
def test_a_yes_no_question_is_a_test_of_the_facts(question: str, test: str) -> None:
    reading = read(question)
    assert (reading.polar, reading.test) == (True, test)


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


@given(
    st.lists(
        st.sampled_from(
            [
                "is",
                "it",
                "the",
                "city",
                "you",
                "are",
                "from",
                "lima",
                "paris",
                "or",
                "in",
                "a",
                "not",
                "and",
                ",",
                "?",
                "@",
                "{}",
                "\\",
                ".",
            ]
        )
    )
)
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


@pytest.mark.parametrize(
    ("number", "text"),
    [(98_676, "99,000"), (842_000, "840,000"), (1_000_000, "1 million"), (10_349_312, "10.3 million")],
)
def test_people_are_counted_as_one_would_say_it(number: int, text: str) -> None:
    assert count_words(number) == text


def test_words_are_compared_without_accents_case_and_punctuation() -> None:
    assert fold("  Is it SÃO  Paulo, or St. Petersburg?! ") == "is it sao paulo or st petersburg"
    assert fold("Xi'an, 5,000,000") == "xian 5000000"
    assert to_ascii("Łódź") == "Lodz"


def test_the_known_questions_have_one_meaning_each() -> None:
    for form in known().values():
        assert isinstance(form, Form)
        assert form.intent in (*INTENTS, "name", "none")


@pytest.mark.parametrize(
    ("city", "question", "word"),
    [("Osaka", "Do people play football?", "football"), ("Cairo", "Do you eat falafel?", "falafel"),
     ("Osaka", "Is baseball popular?", "baseball"), ("Lima", "Do you speak Quechua?", "Quechua")],
)  # fmt: skip
def test_a_yes_speaks_of_what_was_asked(city: str, question: str, word: str) -> None:
    simulator = get_task("guess_my_city").simulator(config="standard")
    for seed in range(20):
        simulator.reset(seed=seed, options={"city": city})
        reply = simulator.step(question)[0]
        assert reply.startswith("Yes")
        assert word in reply
