"""Players of Twenty Questions: the scripted policies, and the behavior policies that play the dataset's games."""

import functools
import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lmrl_data.episode import Episode
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Simulator
from lmrl_data.task import Behavior
from lmrl_data.tasks.twenty_questions.knowledge import knowledge
from lmrl_data.tasks.twenty_questions.parser import reader
from lmrl_data.tasks.twenty_questions.phrasing import beyond, denied, guesses, noun_phrase, openings, wordings
from lmrl_data.tasks.twenty_questions.simulator import MAX_QUESTIONS, NO, YES

# --- what players say


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
def _known() -> frozenset[str]:
    return frozenset(question.text for question in forms())


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
    Player("noisy", 3, 0.2, 0.15, 0.05, 0.52, (9, 19)),
    Player("poor", 2, 0.6, 0.4, 0.1, 0.65, (9, 19)),
)
# Shares of questions as the table has them, in other words, in small letters, and with an opening.
_PLAIN, _WORDED, _SMALL, _OPENED = 0.5, 0.88, 0.93, 1.0
_BEYOND = 0.03  # how often a player that asks any question asks one that the tables do not answer


@functools.cache
def spoken() -> tuple[Question, ...]:
    """The questions of the dataset's players: the table's, and others that only the rules can read."""
    facts, read = knowledge(), reader().by_rules().read
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
    texts += filter(None, (denied(form.text) for form in forms()))
    for text in dict.fromkeys(texts):
        reading = read(text)
        # Players ask no question that is true of one object only, or of all but one.
        apart = min(reading.yes.bit_count(), facts.everything.bit_count() - reading.yes.bit_count())
        if text not in _known() and reading.match and reading.guess is None and apart > 1:
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
            if draw() < _BEYOND:
                pending = None
                return beyond()[int(draw() * len(beyond()))]
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
    """A question as a player words it; both numbers are drawn from 0 to 1."""
    if point < _PLAIN:
        return text
    if point < _WORDED:
        others = wordings(text) if text in _known() else (text,)
        return others[int(choice * len(others))]
    small = text[0].lower() + text[1:]
    return small if point < _SMALL else f"{openings()[int(choice * len(openings()))]} {small}"


BEHAVIORS = tuple(
    Behavior(player.name, share, functools.partial(play, player))
    for player, share in zip(PLAYERS, (0.065, 0.585, 0.35), strict=True)
)
