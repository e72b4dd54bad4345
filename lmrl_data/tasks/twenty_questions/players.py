"""Players of Twenty Questions: the scripted policies, and the behavior policies that play the dataset's games."""

import functools
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmrl_data.dialogue.article import with_article
from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.task import Behavior
from lmrl_data.tasks.twenty_questions.knowledge import knowledge
from lmrl_data.tasks.twenty_questions.parser import reader
from lmrl_data.tasks.twenty_questions.simulator import MAX_QUESTIONS, NO, YES

# --- what players say

# Names that take no article, beside the plurals.
_MASS = frozenset({"paper", "toothpaste", "broccoli", "spinach", "corn", "celery", "glue"})
_CAPITALS = frozenset({"TV", "Lego", "Sharpie"})
_FRAMES = ("Is it {}?",) * 12 + (
    "Is the object {}?", "Could it be {}?", "Is the object you are thinking of {}?", "Is it {}, by any chance?",
    "Is this {}?", "I think it's {}.", "Is the answer {}?", "My guess is {}.", "Am I right that it is {}?",
)  # fmt: skip
_OPENINGS = (
    "Okay, ",
    "Ok, ",
    "So, ",
    "Hmm, ",
    "Then ",
    "Well, ",
    "Alright, ",
    "Next question: ",
    "Now, ",
    "Let me see, ",
)


def noun_phrase(variant: str) -> str:
    """A name as it stands in a sentence.

    Examples:
        >>> [noun_phrase(name) for name in ("Orange", "Scissors", "Pair of scissors", "Glue")]
        ['an orange', 'scissors', 'a pair of scissors', 'glue']
    """
    name = " ".join(word if word in _CAPITALS else word.lower() for word in variant.split())
    last = name.split()[-1]
    if " of " not in name and (name in _MASS or (last.endswith("s") and not last.endswith(("ss", "us", "vas")))):
        return name
    return with_article(name)


class Question(NamedTuple):
    """A question with its meaning and the objects it is true of."""

    text: str
    meaning: str
    yes: int


@functools.cache
def forms() -> tuple[Question, ...]:
    """The questions of the table."""
    return tuple(
        Question(form, attribute.id, attribute.yes)
        for attribute in knowledge().attributes.values()
        for form in attribute.forms
    )


@functools.cache
def guesses() -> tuple[tuple[str, ...], ...]:
    """For each object the ways to name it."""
    return tuple(
        tuple(frame.format(noun_phrase(variant)) for variant in thing.variants for frame in _FRAMES)
        for thing in knowledge().things
    )


# --- policies


class TwentyQuestionsPolicy(Policy):
    """A policy that knows the tables."""

    def __init__(self, config: str, seed: int) -> None:
        self.streams = Streams(seed)

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [self._ask(conversation, self.streams[conversation]) for conversation in conversations]

    def _ask(self, conversation: Conversation, noise: np.random.Generator) -> str:
        raise NotImplementedError


class RandomPolicy(TwentyQuestionsPolicy):
    """A question of the table, uniformly."""

    name = "scripted:random"

    def _ask(self, conversation: Conversation, noise: np.random.Generator) -> str:
        return forms()[noise.integers(len(forms()))].text


class ExpertPolicy(TwentyQuestionsPolicy):
    """Asks the question that halves the possible objects best; guesses once two or fewer are left.

    Answers may contradict each other: the possible objects are those with the fewest contradictions.
    """

    name = "scripted:expert"

    def _ask(self, conversation: Conversation, noise: np.random.Generator) -> str:
        possible, asked, left = self._state(conversation)
        count = possible.bit_count()
        if count > 2 and left > 1:
            best, ties = count, list[str]()
            for attribute in knowledge().attributes.values():
                uneven = abs(2 * (attribute.yes & possible).bit_count() - count)
                if uneven <= best and uneven < count and attribute.id not in asked:
                    if uneven < best:
                        best, ties = uneven, []
                    ties += attribute.forms
            if ties:
                return ties[noise.integers(len(ties))]
        objects = [number for number in range(len(knowledge().things)) if possible >> number & 1]
        return guesses()[objects[noise.integers(len(objects))]][0]

    def _state(self, conversation: Conversation) -> tuple[int, set[str], int]:
        """The possible objects, the meanings asked so far, and how many questions are left."""
        facts, read = knowledge(), reader().read
        levels = [facts.everything]  # the objects with no contradiction, with one, with two, ...
        named, asked = 0, set[str]()
        pairs = itertools.pairwise(conversation.visible)
        known = [(turn.content, reply.content) for turn, reply in pairs if turn.role == "assistant"]
        for question, answer in known:
            reading = read(question)
            asked.add(reading.meaning)
            if reading.guess is not None:
                named |= 1 << reading.guess
            elif reading.match is not None and answer in (YES, NO):
                wrong = facts.everything & ~reading.yes if answer == YES else reading.yes
                levels = [
                    (here & ~wrong) | (below & wrong) for here, below in zip([*levels, 0], [0, *levels], strict=True)
                ]
        possible = next((level & ~named for level in levels if level & ~named), facts.everything)
        return possible, asked, MAX_QUESTIONS - len(known)


# --- the dataset


class Player(NamedTuple):
    """How a behavior policy plays.

    Args:
        name (`str`): fills the `policy` column.
        looks (`int`): how many questions it considers; it asks the one that halves the possible objects best.
        careless (`float`): how often it asks a random question instead.
        forgets (`float`): how often it ignores an answer.
        guesses (`float`): how often it names an object before it knows which one is hidden.
        leaves (`float`): how often it gives up before the end of the game.
        patience (`tuple[int, int]`): the questions after which it then gives up, from and to.
    """

    name: str
    looks: int
    careless: float
    forgets: float
    guesses: float
    leaves: float
    patience: tuple[int, int]


PLAYERS = (
    Player("expert", 12, 0.02, 0.0, 0.0, 0.0, (20, 20)),
    Player("noisy", 3, 0.2, 0.15, 0.05, 0.5, (9, 19)),
    Player("poor", 2, 0.6, 0.4, 0.1, 0.65, (9, 19)),
)
_RAW, _LOWER, _OPENED = 0.93, 0.96, 1.0  # shares of texts as they are, in small letters, with an opening


@functools.cache
def spoken() -> tuple[Question, ...]:
    """The questions of the dataset's players: the table's, and others that only the rules can read."""
    facts, read = knowledge(), reader().read
    made = [*forms()] * 3
    texts = []
    for name, reference in facts.reference_names.items():
        thing = noun_phrase(name)
        for words in ("bigger than", "smaller than", "larger than", "heavier than", "lighter than"):
            texts.append(f"Is it {words} {thing}?")
        if reference["price"] is not None:
            texts += [f"Is it more expensive than {thing}?", f"Is it cheaper than {thing}?"]
    for pounds in (1, 2, 5, 10, 20, 50, 100, 500):
        texts += [f"Does it weigh more than {pounds} pounds?", f"Does it weigh less than {pounds} pounds?"]
    for dollars in (5, 10, 20, 50, 100, 200, 500, 1_000, 10_000):
        texts += [f"Does it cost more than ${dollars}?", f"Does it cost less than ${dollars}?"]
    texts += [f"Is it a kind of {kind}?" for kind in facts.kind_names]
    for form in forms():
        texts.append(re.sub(r"^(Is|Does|Can|Do) (it|you|people) ", r"\1 \2 not ", form.text))
        texts.append(re.sub(r"^Is it ", "Isn't it ", form.text))
        texts.append(re.sub(r"^Is it (?=an? )", "Would you call it ", form.text))
        texts.append(re.sub(r"^Is it ", "Is the object ", form.text))
        texts.append(re.sub(r"^Can you (.*) it\?$", r"Is it something you can \1?", form.text))
        texts.append(re.sub(r"^Does it ", "Does the object ", form.text))
    known = {question.text for question in forms()}
    for text in dict.fromkeys(texts):
        reading = read(text)
        # Players ask no question that is true of one object only, or of all but one.
        apart = min(reading.yes.bit_count(), facts.everything.bit_count() - reading.yes.bit_count())
        if text not in known and reading.match and reading.guess is None and apart > 1:
            made.append(Question(text, reading.meaning, reading.yes))
    return tuple(made)


def play(player: Player, simulator: Simulator, seed: int) -> Episode:
    """One game of the dataset by one of its players."""
    questions, everything, names = spoken(), knowledge().everything, guesses()
    noise = np.random.default_rng([seed, 0x20]).random(32 + MAX_QUESTIONS * (player.looks + 6)).tolist()
    draw = iter(noise).__next__
    first, last = player.patience
    limit = first + int(draw() * (last - first + 1)) if draw() < player.leaves else None
    possible = everything
    pending: tuple[int, bool] | None = None  # what the last question asked, and whether its answer will be used
    asked = 0

    def act(observation: str) -> str:
        nonlocal possible, pending, asked
        if pending is not None and pending[1]:
            possible &= pending[0] if observation == YES else everything & ~pending[0]
            possible = possible or everything  # a forgotten answer left nothing possible: start anew
        asked += 1
        count = possible.bit_count()
        if count <= 2 or asked >= MAX_QUESTIONS or draw() < player.guesses:
            number = _pick(possible, int(draw() * count))
            pending = 1 << number, True
            ways = names[number]
            return ways[int(draw() * draw() * len(ways))]
        if draw() < player.careless:
            question = questions[int(draw() * len(questions))]
        else:
            best = count + 1
            for _ in range(player.looks):
                other = questions[int(draw() * len(questions))]
                uneven = abs(2 * (other.yes & possible).bit_count() - count)
                if uneven < best:
                    best, question = uneven, other
        pending = question.yes, draw() >= player.forgets
        return _worded(question.text, draw(), draw())

    return play_episode("twenty_questions", simulator, seed, player.name, act, max_turns=limit)


def _pick(objects: int, place: int) -> int:
    """The number of the object in that place of a set."""
    for _ in range(place):
        objects &= objects - 1
    return (objects & -objects).bit_length() - 1


def _worded(text: str, point: float, choice: float) -> str:
    if point < _RAW:
        return text
    small = text[0].lower() + text[1:]
    return small if point < _LOWER else _OPENINGS[int(choice * len(_OPENINGS))] + small


BEHAVIORS = tuple(
    Behavior(player.name, share, functools.partial(play, player))
    for player, share in zip(PLAYERS, (0.06, 0.53, 0.41), strict=True)
)
