"""Twenty Questions: find out by yes-or-no questions which of 158 everyday objects is hidden.

Each question costs 1; the question that names the object ends the game and is free. After twenty questions it is lost.
Answers come from tables of facts and never contradict each other. Paper section 4 and appendix C.
"""

import functools
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium import spaces

from lmrl_data.config import Config
from lmrl_data.dialogue.simulator import REPLY_CHARSET, GroundedSimulator, Prompt
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError, unknown
from lmrl_data.policy import Conversation, Policy, Streams
from lmrl_data.rollout import play_episode
from lmrl_data.simulator import Oracle, Simulator, Step, check_options
from lmrl_data.tasks.twenty_questions.knowledge import asset, knowledge
from lmrl_data.tasks.twenty_questions.parser import reader
from lmrl_data.tasks.twenty_questions.wording import MAX_LENGTH
from lmrl_data.text import one_line

FIRST = "Questions:"
YES, NO, CANNOT = "Yes.", "No.", "I can't answer that."
MAX_QUESTIONS = 20
MATCHERS = ("lexical", "embeddings")


# --- the simulator


class TwentyQuestionsSimulator(GroundedSimulator):
    """Twenty Questions as a Gymnasium environment of texts.

    Args:
        config (`Config`): the only one.
        oracle (`Oracle`, *optional*): who answers; the tables of facts by default. A model is asked each question by
            itself. Whether a guess is right, the rules decide.
        render_mode (`str`, *optional*): `"ansi"`, what was asked so far.
        options (`Mapping`, *optional*): reset options that hold for every reset.

    Reset options: `object` (a name such as `Lion`; by default the seed's), `strict` (`True`: what is out of scope is
    answered `I can't answer that.`) and `matcher` (`lexical`, or `embeddings`, which needs an extra).
    """

    observation_space = spaces.Text(max_length=len(CANNOT), min_length=0, charset=REPLY_CHARSET)
    action_space = spaces.Text(max_length=MAX_LENGTH, min_length=0, charset=REPLY_CHARSET)
    reply_tokens = 8
    view_history = 1  # each question is answered without those before it
    turn_info = GroundedSimulator.turn_info | {"match", "in_scope", "guess"}

    def __init__(
        self,
        config: Config,
        oracle: Oracle[Prompt] | None = None,
        render_mode: str | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(config, oracle, render_mode, options)
        self.asked: list[tuple[str, str, bool]] = []  # question, answer, and whether it was understood

    def _begin(self, options: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        check_options("twenty_questions", options, ("object", "strict", "matcher"))
        self.strict = _flag(options.get("strict", False))
        self.matcher = options.get("matcher", MATCHERS[0])
        if self.matcher not in MATCHERS:
            raise unknown("matcher", self.matcher, MATCHERS)
        reader(self.matcher)
        facts = knowledge()
        given = options.get("object")
        self.object = int(self.np_random.integers(len(facts.things))) if given is None else facts.find(str(given))
        self.asked = []
        self.won = False
        return FIRST, {"object": facts.things[self.object].name}

    def _consider(self, action: str) -> str:
        self._reading = reading = reader(self.matcher).read(action)
        self._action = action
        self.won = reading.guess == self.object
        # A name is right or wrong, and a text that asks nothing has no answer: no model decides that.
        self._rules_speak = reading.guess is not None or not reading.valid
        if self.strict and reading.valid and reading.match is None:
            return CANNOT
        return YES if reading.yes >> self.object & 1 else NO

    def _conclude(self, reply: str) -> Step:
        reading = self._reading
        self.asked.append((self._action[:MAX_LENGTH], reply, reading.match is not None))
        info = {
            "valid": reading.valid,
            "match": reading.match,
            "in_scope": reading.match is not None,
            "guess": reading.guess is not None,
        }
        if self.won:
            return reply, 0.0, True, False, {**info, "success": True}
        if len(self.asked) < MAX_QUESTIONS:
            return reply, -1.0, False, False, info
        # Twenty questions are the game: what ends here is lost, not cut short.
        return reply, -1.0, True, False, {**info, "success": False}

    def topic(self, info: Mapping[str, Any]) -> str:
        return str(info["match"] or "other")

    def _system(self) -> str:
        return asset("oracle.txt").strip().replace("{object}", ", ".join(knowledge().things[self.object].variants))

    def _parse(self, text: str) -> str | None:
        match = re.match(r"\W{0,8}(yes|no)\b", text, re.IGNORECASE)
        return None if match is None else YES if match[1].lower() == "yes" else NO

    def _fallback(self, grounded: str) -> str:
        return NO

    def render(self) -> str:
        """The questions and answers so far, and how many are left; after the last one, the object."""
        rows = []
        for number, (question, answer, understood) in enumerate(self.asked, 1):
            text = one_line(question, None)
            rows.append(f"{number:>2}. {text[:90]:<52} {answer}{'' if understood else ' (not understood)'}")
        left = MAX_QUESTIONS - len(self.asked)
        if self.won:
            rows.append(f"Found with question {len(self.asked)}.")
        elif left:
            rows.append(f"{left} question{'s' * (left > 1)} left.")
        else:
            rows.append(f"The object was: {knowledge().things[self.object].name}.")
        return "\n".join(rows)


def _flag(value: Any) -> bool:
    flags = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    flag = flags.get(str(value).lower())
    if flag is None:
        raise UserError(f"strict is true or false, got {str(value)[:80]!r}")
    return flag


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


def with_article(variant: str) -> str:
    """A name as it stands in a sentence.

    Examples:
        >>> [with_article(name) for name in ("Orange", "Scissors", "Pair of scissors", "Glue")]
        ['an orange', 'scissors', 'a pair of scissors', 'glue']
    """
    name = " ".join(word if word in _CAPITALS else word.lower() for word in variant.split())
    last = name.split()[-1]
    if " of " not in name and (name in _MASS or (last.endswith("s") and not last.endswith(("ss", "us", "vas")))):
        return name
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


class Question(NamedTuple):
    """One way to ask, and what it asks."""

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
        tuple(frame.format(with_article(variant)) for variant in thing.variants for frame in _FRAMES)
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
    """The question that halves best what may still be it; once two are left, a guess.

    It believes what it is told as far as that agrees: what may be it are the objects with the fewest contradictions.
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
        """What may be it, what was asked, and how many questions are left."""
        facts, read = knowledge(), reader().read
        levels = [facts.everything]  # the objects with no contradiction, with one, with two, ...
        named, asked = 0, set[str]()
        pairs = itertools.pairwise(conversation.visible)
        known = [(said.content, heard.content) for said, heard in pairs if said.role == "assistant"]
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
        looks (`int`): of how many questions it thinks before it asks the one that halves best.
        careless (`float`): how often it asks any question instead.
        forgets (`float`): how often it does not use an answer.
        guesses (`float`): how often it names an object before it knows.
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
    """What the dataset's players ask: the table's questions, and others that only the rules can read."""
    facts, read = knowledge(), reader().read
    made = [*forms()] * 3
    texts = []
    for name, reference in facts.reference_names.items():
        thing = with_article(name)
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
        # What is true of all but one, or of one, nobody asks.
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
            possible = possible or everything  # it forgot an answer it needed, and starts anew
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


def diversity(episodes: Iterable[Episode]) -> dict[str, Any]:
    """How varied the agents' texts are: distinct word trigrams among all, duplicates, distinct questions."""
    trigrams, total = set[tuple[str, str, str]](), 0
    questions, games, count = set[str](), Counter[tuple[str, ...]](), 0
    for episode in episodes:
        texts = [turn.content for turn in episode.turns if turn.role == "assistant"]
        count += 1
        games[tuple(turn.content for turn in episode.turns)] += 1
        questions.update(texts)
        for text in texts:
            words = text.split()
            total += max(0, len(words) - 2)
            trigrams.update(zip(words, words[1:], words[2:], strict=False))
    return {
        "distinct_3": round(len(trigrams) / max(1, total), 4),
        "duplicate_episodes": round(1 - len(games) / max(1, count), 4),
        "distinct_questions": len(questions),
    }


def data_facts(config: str, episodes: Iterable[Episode]) -> dict[str, str]:
    """Which objects were found, and how varied the questions are."""
    found, played = Counter[str](), Counter[str]()
    kept: list[Episode] = []
    for episode in episodes:
        played[episode.info["object"]] += 1
        found[episode.info["object"]] += episode.success
        if len(kept) < 10_000:
            kept.append(episode)
    facts = diversity(kept)
    return {
        "objects with a game that found them": f"{sum(found[name] > 0 for name in played)} of {len(played)} played",
        f"distinct questions (first {len(kept):,} games)": f"{facts['distinct_questions']:,}",
        "distinct word trigrams / all, of the questions": f"{facts['distinct_3']:.2%}",
        "games that repeat another to the word": f"{facts['duplicate_episodes']:.2%}",
    }


def _by(player: Player) -> Callable[[Simulator, int], Episode]:
    return functools.partial(play, player)


SOURCE = "ours: the data's mean; the greedy expert, the mean of five games an object. The best policy is not known"
