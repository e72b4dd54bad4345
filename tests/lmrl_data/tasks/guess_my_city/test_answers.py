"""Guess My City reads questions in many words, and says the facts in many words."""

import re
from collections import Counter

from cases import check_cases, read_cases
from hypothesis import given
from hypothesis import strategies as st

from lmrl_data import get_task
from lmrl_data.tasks.guess_my_city.answers import answers, count_words, tiers, topic_facts, wordings
from lmrl_data.tasks.guess_my_city.facts import cities, facts, find_city, fold, holds, to_ascii
from lmrl_data.tasks.guess_my_city.forms import INTENTS, Form, known
from lmrl_data.tasks.guess_my_city.players import knowledge
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


def test_of_two_sentences_the_question_counts_and_of_two_parts_both() -> None:
    def check(name: str, question: str, beginning: str) -> None:
        reading = read(question)
        replies = answers(find_city("standard", name), reading)
        if beginning in ("unsure", "open"):
            assert (reading.test, reading.polar) == (None, beginning == "unsure")
            assert not [text for text in replies if text.startswith(("Yes", "No"))]
        else:
            said = [text for text in replies if "," in text]
            assert all(text.startswith(beginning.split(",")[0]) for text in replies), replies
            assert any(text.startswith(beginning) for text in said), replies

    check_cases(read_cases("guess_my_city/joined.tsv"), check)


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
    assert any("Spanish" in text for text in wordings(lima, "language"))
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
        replies = set()
        for seed in range(20):
            simulator.reset(seed=seed, options={"city": city})
            replies.add(simulator.step(question)[0])
        assert all(reply.startswith("Yes") for reply in replies)
        assert any(word in reply for reply in replies)

    cases = [
        ("Osaka", "Do people play football?", "football"),
        ("Cairo", "Do you eat falafel?", "eat"),
        ("Osaka", "Is baseball popular?", "baseball"),
        ("Lima", "Do you speak Quechua?", "hear it"),
    ]
    check_cases(cases, check)


def test_a_guess_of_a_city_that_is_never_hidden_is_denied_by_its_name() -> None:
    simulator = get_task("guess_my_city").simulator(config="standard")

    def check(question: str, name: str) -> None:
        for seed in range(6):
            simulator.reset(seed=seed, options={"city": "Nanjing"})
            reply, _, _, _, info = simulator.step(question)
            assert info["guess"] == bool(name)
            assert not name or (reply.startswith("No") and name in reply)

    cases = [
        ("Is it Kunming?", "Kunming"), ("is it kunming", "Kunming"), ("Are you from Bergen?", "Bergen"),
        ("Is it Hogwarts?", "Hogwarts"), ("Could it be Atlantis?", "Atlantis"), ("Is it Buddhist?", ""),
        ("Is it rainy?", ""), ("is it touristy?", ""), ("Is it Nordic?", ""),
    ]  # fmt: skip
    check_cases(cases, check)


def test_no_reply_to_a_yes_no_question_contradicts_the_facts() -> None:
    """All cities, facts and joints: what stands beside a yes or no is said by the fact, with its own sign."""
    for city in cities("standard"):
        for fact in facts().values():
            verdict = fact.verdict(city)
            for test, truth in ((fact.name, verdict), (f"!{fact.name}", None if verdict is None else not verdict)):
                replies = answers(city, Reading("ask", fact.topic, test, polar=True))
                if truth is None:
                    assert not [text for text in replies if text.startswith(("Yes", "No"))], (city.name, test)
                    continue
                assert all(re.match("Yes[,.]" if truth else "No[,.]", text) for text in replies), (city.name, test)
                right, wrong = (fact.say, fact.deny) if verdict else (fact.deny, fact.say)
                # "no coffee is grown" contains "coffee is grown".
                assert not [text for text in replies if wrong in text.replace(right, "")], (city.name, test, replies)


def test_who_asks_for_a_dish_is_told_one() -> None:
    for question in ("Tell me a dish I absolutely have to try when I visit.", "Which dish must I taste there?"):
        for city in cities("standard"):
            said = answers(city, read(question))
            assert len(said) >= 4
            assert not [text for fact in topic_facts("food") for text in said if fact.say in text]


def test_cool_winters_are_neither_cold_nor_mild() -> None:
    for name in ("Paris", "Nanjing"):
        city = find_city("standard", name)
        assert holds("cold_winter", city) is holds("mild_winter", city) is None
        said = answers(city, Reading("ask", "climate")) + answers(city, Reading("ask", "temperature"))
        assert not [text for text in said if "half of the year" in text.lower() or "hardly ever need a coat" in text]


def test_what_narrows_a_fact_is_not_dropped() -> None:
    def check(name: str, question: str, verdict: str) -> None:
        reading = read(question)
        assert reading.test is not None
        assert str(holds(reading.test, find_city("standard", name))) == verdict

    cases = [
        ("Nanjing", "Do you have big snowy mountains nearby?", "None"),
        ("Nanjing", "Do you have mountains nearby?", "True"),
        ("Mashhad", "Is there a famous river that runs through town?", "None"),
        ("Cairo", "Is there a famous river that runs through town?", "True"),
        ("Mashhad", "Does a river run through town?", "True"),
        ("Seoul", "Is it cold in January?", "True"), ("Seoul", "Does it get cold in July?", "False"),
        ("Seoul", "Is it rainy in April?", "None"),
    ]  # fmt: skip
    check_cases(cases, check)
    assert read("What's the weather like there in January?").intent == "temperature"


def test_the_joint_of_an_answer_fits_every_question() -> None:
    """Who asks has said nothing to agree with, and what a city has is not what everybody there knows."""
    for city in cities("standard"):
        for intent in INTENTS:
            said = answers(city, Reading("ask", intent))
            assert not [text for text in said if "everybody here knows, " in text]
        for fact in facts():
            said = answers(city, Reading("ask", "landmarks", f"!{fact}", polar=True))
            assert not [text for text in said if "you are right" in text]


def test_facts_that_exclude_each_other_are_never_both_true() -> None:
    def check(one: str, other: str, relation: str) -> None:
        for city in cities("extended"):
            first, second = holds(one, city), holds(other, city)
            if relation == "same":
                assert first is second, city.name
            else:
                assert not (first is True and second is True), city.name

    check_cases(read_cases("guess_my_city/opposites.tsv"), check)


def test_what_the_text_of_the_facts_says_is_not_denied_by_the_lists() -> None:
    denied = [
        (fact.name, city.name)
        for fact in facts().values()
        if fact.hint is not None
        for city in cities("standard")
        if fact.verdict(city) is False and holds(fact.hint, city)
    ]
    assert denied == [("metro", "Bogota")]  # its text says that one is being built


def test_only_complete_facts_are_denied() -> None:
    lima = find_city("standard", "Lima")
    for test in ("food~sushi", "sport~golf", "landmarks+known_for~lighthouse"):
        assert holds(test, lima) is None
        replies = answers(lima, Reading("ask", "food", test, polar=True))
        assert not [text for text in replies if text.startswith(("Yes", "No"))]
    for test in ("languages~french", "currency~euro", "continent=asia", "coast_name~atlantic", "neighbours=mexico"):
        assert holds(test, lima) is False


def test_the_first_answer_is_true_of_several_cities() -> None:
    """What names the city at once comes after narrower questions."""
    telling = []
    for intent in INTENTS:
        owners = Counter(text for city in cities("standard") for text in {*wordings(city, intent)})
        telling += [
            (city.name, intent, text)
            for city in cities("standard")
            for text in tiers("standard", city, intent)[0]
            if owners[text] < 2 and not any(text.endswith(fact.say) for fact in topic_facts(intent))
        ]
    assert {(name, intent) for name, intent, _ in telling} == {
        ("Sydney", "continent"), ("Houston", "coast"), ("Ho Chi Minh City", "independence"),
        ("Guayaquil", "independence"), ("Hong Kong", "government"),
    }  # fmt: skip


def test_an_answer_tells_more_when_its_topic_is_asked_about_again() -> None:
    simulator = get_task("guess_my_city").simulator(config="standard")
    simulator.reset(seed=0, options={"city": "Lima"})
    questions = [
        "What is a typical dish there?", "What continent are you on?", "What kind of food do you eat in your city?",
        "Which hemisphere is your city in?", "What local specialities should I try?",
        "What food is your city famous for?",
    ]  # fmt: skip
    replies = [simulator.step(question)[0] for question in questions]
    known = knowledge("standard")
    left = [known.cities_fitting("food", reply).bit_count() for reply in replies[::2] + replies[5:]]
    assert left[0] > 7
    assert left[-1] < 4
    assert simulator.step(questions[0])[0] == replies[0]
