"""Players of Guess My City: the scripted policies, and the behavior policies that play the dataset's games.

A set of cities is a whole number, one bit a city. Players read an answer by the facts that it was made from: a yes or
no by the test of the question, everything else by the phrases in the answer.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from itertools import pairwise

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.task import Behavior
from lmrl_data.tasks.guess_my_city.answers import phrases, sentence, tiers
from lmrl_data.tasks.guess_my_city.facts import City, cities, holds
from lmrl_data.tasks.guess_my_city.forms import INTENTS, Form, questions
from lmrl_data.tasks.guess_my_city.questions import Reading, read

GUESSES = (
    "Is it {city}?", "Are you from {city}?", "Do you live in {city}?", "Is your city {city}?", "Could it be {city}?",
    "Is the city you are from {city}?", "I think it is {city}.", "Is it {city}, by any chance?", "{city}?",
    "My guess is {city}.", "Is {city} your city?", "Do you come from {city}?",
)  # fmt: skip
# How a question may begin, so that it is not always the same.
OPENINGS = (
    "", "", "", "", "", "So, ", "Okay, ", "Hmm, ", "Tell me, ", "Well, ", "Good, ", "I see.", "Interesting!",
    "Thanks.",
)  # fmt: skip
HOMES = ("your city", "your city", "your city", "your town", "your hometown", "your home town", "this city")


class Knowledge:
    """The cities of a config, and what questions and answers tell about them."""

    def __init__(self, config: str) -> None:
        self.cities = cities(config)
        self.all = (1 << len(self.cities)) - 1
        self.bit = {city.number: 1 << place for place, city in enumerate(self.cities)}
        forms = [form for form in questions() if form.intent in INTENTS]
        self.open: dict[str, list[Form]] = {intent: [] for intent in INTENTS}
        self.closed: dict[str, list[Form]] = {intent: [] for intent in INTENTS}
        for form in forms:
            (self.open if form.test is None else self.closed)[form.intent].append(form)
        self.tests = {intent: tuple(dict.fromkeys(form.test for form in self.closed[intent])) for intent in INTENTS}
        self.sides: dict[str, tuple[int, int, int]] = {}
        self.owners: dict[str, list[tuple[str, int]]] = {}
        self._learned: dict[tuple[str | None, str | None, str], int] = {}

    def split(self, test: str, possible: int) -> tuple[int, int]:
        """The cities among those possible that may answer a yes/no question with yes, and with no."""
        yes, no, done = self.sides.get(test, (0, 0, 0))
        if missing := possible & ~done:
            # There are thousands of tests, and mostly few cities left to ask about.
            for city in self.named(missing):
                verdict = holds(test, city)
                yes |= self.bit[city.number] * (verdict is not False)
                no |= self.bit[city.number] * (verdict is not True)
            self.sides[test] = yes, no, done | missing
        return yes & possible, no & possible

    def phrases(self, intent: str) -> list[tuple[str, int]]:
        """The phrases of answers about an intent, the longest first, each with the cities it is true of."""
        if intent not in self.owners:
            owners: dict[str, int] = {}
            for city in self.cities:
                for phrase in phrases(city, intent):
                    owners[phrase.lower()] = owners.get(phrase.lower(), 0) | self.bit[city.number]
            self.owners[intent] = sorted(owners.items(), key=lambda item: -len(item[0]))
        return self.owners[intent]

    def learn(self, reading: Reading, answer: str) -> int:
        """The cities that an answer allows."""
        if reading.act == "guess":
            refused = sum(self.bit.get(number, 0) for number in reading.numbers) if reading.country is None else 0
            return self.all & ~refused if answer.startswith("No") else self.all
        if reading.act != "ask" or reading.intent is None:
            return self.all
        key = reading.intent, reading.test, answer
        if key not in self._learned:
            if len(self._learned) > 200_000:
                self._learned.clear()
            self._learned[key] = self._learn(reading.intent, reading.test, answer)
        return self._learned[key]

    def _learn(self, intent: str, test: str | None, answer: str) -> int:
        allowed = self.all
        if test is not None:
            yes, no = self.split(test, self.all)
            allowed = yes if answer.startswith("Yes") else no if answer.startswith("No") else allowed
        return self.cities_fitting(intent, answer) & allowed or allowed

    def cities_fitting(self, intent: str, answer: str) -> int:
        """The cities for which everything in an answer is true."""
        matched: list[str] = []
        text, allowed = answer.lower(), self.all
        for phrase, owners in self.phrases(intent):
            if phrase in text and not any(phrase in longer for longer in matched):
                place = text.index(phrase)
                # Whole words: 230 metres are not 1,230.
                before, after = text[place - 1 : place], text[place + len(phrase) : place + len(phrase) + 1]
                if (
                    before.isalnum()
                    or after.isalnum()
                    or (before in (",", ".") and place > 1 and text[place - 2].isdigit())
                ):
                    continue
                matched.append(phrase)
                allowed &= owners
        return allowed or self.all

    def named(self, mask: int) -> list[City]:
        return [city for place, city in enumerate(self.cities) if mask >> place & 1]


@cache
def knowledge(config: str) -> Knowledge:
    return Knowledge(config)


def suspects(known: Knowledge, conversation: Conversation) -> tuple[int, set[str]]:
    """The cities that agree with the visible texts, and the questions asked so far."""
    possible, asked = known.all, set()
    turns = conversation.visible
    for turn, reply in pairwise(turns):
        if turn.role == "assistant" and reply.role == "user":
            asked.add(turn.content)
            possible = possible & known.learn(read(turn.content), reply.content) or possible
    return possible, asked


# --- the best question


# The best question while every city is possible. Finding it takes ten seconds; a test does.
FIRST: dict[str, tuple[str, str | None]] = {"standard": ("time_zone", None), "extended": ("region", None)}


@cache
def _outcomes(config: str, intent: str, city: City) -> tuple[int, ...]:
    """The cities that are left by each of a sample of a city's answers to an open question."""
    clauses = tiers(config, city, intent)[0]
    step = max(len(clauses) // 4, 1)
    return tuple(knowledge(config).cities_fitting(intent, sentence(clause)) for clause in clauses[::step][:4])


@lru_cache(4096)
def best_question(config: str, possible: int) -> tuple[str, str | None]:
    """The intent and test of the question that leaves the fewest cities on average."""
    return FIRST[config] if possible == knowledge(config).all else compared_questions(config, possible)


def compared_questions(config: str, possible: int) -> tuple[str, str | None]:
    """The best question, found by comparing all of them."""
    known = knowledge(config)
    places = known.named(possible)
    count = possible.bit_count()
    best: tuple[str, str | None] = "continent", None
    least = float(count)
    for intent in INTENTS:
        sizes = [(allowed & possible).bit_count() for city in places for allowed in _outcomes(config, intent, city)]
        left = sum(sizes) / len(sizes)
        if left < least - 1e-9:
            best, least = (intent, None), left
        for test in known.tests[intent]:
            assert test is not None
            yes, no = known.split(test, possible)
            left = (yes.bit_count() ** 2 + no.bit_count() ** 2) / count
            if left < least - 1e-9:
                best, least = (intent, test), left
    return best


# --- policies


class CityPolicy(Policy):
    """A policy that knows the cities and reads only the visible texts.

    Args:
        config (`str`): whose cities may be hidden.
        seed (`int`): of the policy's noise.
    """

    def __init__(self, config: str, seed: int) -> None:
        self.config = config
        self.known = knowledge(config)
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._choose(conversation) for conversation in conversations]

    def _choose(self, conversation: Conversation) -> str:
        raise NotImplementedError

    def _draw(self, conversation: Conversation, size: int) -> int:
        return int(self.streams[conversation].integers(size))

    def _any_question(self, conversation: Conversation) -> str:
        intent = INTENTS[self._draw(conversation, len(INTENTS))]
        listed = (self.known.open, self.known.closed)[self._draw(conversation, 2)][intent]
        return listed[self._draw(conversation, len(listed))].text

    def _guess(self, conversation: Conversation, possible: int) -> str:
        names = self.known.named(possible)
        return guess(names[self._draw(conversation, len(names))], self._draw(conversation, len(GUESSES)))


def guess(city: City, number: int) -> str:
    return GUESSES[number % len(GUESSES)].replace("{city}", city.name)


class RandomPolicy(CityPolicy):
    """Any known question, and now and then any city."""

    name = "scripted:random"

    def _choose(self, conversation: Conversation) -> str:
        if self._draw(conversation, 10) == 0:
            return self._guess(conversation, self.known.all)
        return self._any_question(conversation)


class ExpertPolicy(CityPolicy):
    """Asks the question that leaves the fewest cities; guesses once two or fewer are left."""

    name = "scripted:expert"

    def _choose(self, conversation: Conversation) -> str:
        possible, asked = suspects(self.known, conversation)
        if possible.bit_count() <= 2:
            return self._guess(conversation, possible)
        intent, test = best_question(self.config, possible)
        listed = (self.known.open if test is None else self.known.closed)[intent]
        texts = [form.text for form in listed if form.test == test]
        fresh = [text for text in texts if text not in asked]
        if not fresh:  # no question is left that could tell the remaining cities apart
            return self._guess(conversation, possible)
        return fresh[self._draw(conversation, len(fresh))]


class NoisyPolicy(ExpertPolicy):
    """As `expert`, but asks a random question every second time."""

    name = "scripted:noisy"

    def _choose(self, conversation: Conversation) -> str:
        if self._draw(conversation, 2):
            return self._any_question(conversation)
        return super()._choose(conversation)


class PoorPolicy(CityPolicy):
    """Asks random questions for a while, then guesses cities of the right continent or hemisphere at best."""

    name = "scripted:poor"

    def _choose(self, conversation: Conversation) -> str:
        turns = conversation.visible
        if len(turns) < 2 * 8 or self._draw(conversation, 3) == 0:
            return self._any_question(conversation)
        possible = self.known.all
        for turn, reply in pairwise(turns):
            if turn.role == "assistant":
                reading = read(turn.content)
                if reading.intent in ("continent", "hemisphere", "region") or reading.act == "guess":
                    possible = possible & self.known.learn(reading, reply.content) or possible
        return self._guess(conversation, possible)


SOURCE = "ours: the data's mean, and the mean of the expert over all cities"  # of the reference returns


# --- the dataset


@dataclass(frozen=True)
class Habit:
    """How a player of the dataset plays.

    Args:
        name (`str`): fills the `policy` column.
        open_share (`float`): how many of the questions are open.
        notice (`float`): the share of answers that the player understands; it forgets the others.
        patience (`tuple[int, int]`): the first and last turn of the first serious guess, drawn uniformly.
        hurry (`float`): the chance of a guess at each turn before that.
        doubt (`float`): the chance of one more question in place of a guess after that.
        look (`int`): how many yes/no questions it considers; it asks the one that splits the possible cities best.
    """

    name: str
    open_share: float
    notice: float
    patience: tuple[int, int]
    hurry: float = 0.0
    doubt: float = 0.1
    look: int = 1


def play(habit: Habit, simulator: Simulator, seed: int) -> Episode:
    """Plays the dataset's game of a seed."""
    known = knowledge(simulator.config)
    chance = random.Random(seed * 7919 + len(habit.name))
    patience = chance.randint(*habit.patience)
    possible, last, turn, guessed = known.all, "", 0, False
    asked: set[str] = set()

    def act(observation: str) -> str:
        nonlocal possible, last, turn, guessed
        # The player remembers the answer to a guess always, any other only if it understood it.
        if last and (guessed or chance.random() < habit.notice):
            possible = possible & known.learn(read(last), observation) or possible
        turn += 1
        if (turn >= patience and chance.random() >= habit.doubt) or (turn > 2 and chance.random() < habit.hurry):
            places = [place for place in range(len(known.cities)) if possible >> place & 1]
            last, guessed = guess(known.cities[chance.choice(places)], chance.randrange(len(GUESSES))), True
            return last
        guessed = False
        for _ in range(3):
            form = _question(known, chance, habit, possible)
            if form.text not in asked:
                break
        asked.add(form.text)
        last = _varied(form.text, chance, turn)
        return last

    return play_episode("guess_my_city", simulator, seed, habit.name, act)


def _varied(text: str, chance: random.Random, turn: int) -> str:
    """A known question in varying words."""
    text = text.replace("your city", chance.choice(HOMES))
    opening = chance.choice(OPENINGS) if turn > 1 else ""
    return f"{opening}{text[0].lower()}{text[1:]}" if opening.endswith(", ") else f"{opening} {text}".strip()


def _question(known: Knowledge, chance: random.Random, habit: Habit, possible: int) -> Form:
    if chance.random() < habit.open_share:
        return chance.choice(known.open[chance.choice(INTENTS)])
    tried = [chance.choice(known.closed[chance.choice(INTENTS)]) for _ in range(habit.look)]
    if habit.look == 1:
        return tried[0]

    def unsure(form: Form) -> int:
        yes, no = known.split(form.test or "", known.all)
        return max((yes & possible).bit_count(), (no & possible).bit_count())

    return min(tried, key=unsure)


CURIOUS = Habit("curious", open_share=0.85, notice=0.2, patience=(16, 18))
METHODICAL = Habit("methodical", open_share=0.25, notice=0.31, patience=(16, 18), look=3)
HASTY = Habit("hasty", open_share=0.5, notice=0.24, patience=(14, 18), hurry=0.08)
RANDOM = Habit("random", open_share=0.5, notice=0.0, patience=(20, 20), hurry=0.1)


BEHAVIORS = tuple(
    Behavior(habit.name, share, partial(play, habit))
    for habit, share in ((CURIOUS, 0.4), (METHODICAL, 0.3), (HASTY, 0.2), (RANDOM, 0.1))
)
