"""Brings a free text to one question in a plain form: `is it ...`, `does it ...`, `can it ...` or `do you ...`.

The patterns are in `assets/rewrites.tsv`, in the order in which they apply. A name between `<` and `>` in a pattern
stands for the pattern that a `let` line gives it.
"""

import functools
import itertools
import re
from typing import NamedTuple

from lmrl_data.dialogue.asset import table

MAX_WORDS = 40
MAX_LENGTH = 500  # characters; forty words have fewer

OPENERS = frozenset(
    ("is", "are", "was", "were", "do", "does", "did", "can", "could", "will", "would", "has", "have", "had", "should",
     "might", "may", "must", "am")
)  # fmt: skip
# "What color is it" has no yes or no; "when used, is it loud" and "what I ask is whether it flies" have one.
OPEN = re.compile(
    r"(?:what|which|who|whose|whom|where|when|why|how)(?: (?!i|you|we)[a-z]+){0,2} "
    r"(?:is|are|was|were|does|do|did|can|could|would|will|has|have|should)\b"
)
_WONDERS = re.compile(
    r"\b(?:tell me|let me know|i (?:would|want|need|had)?(?: (?:like|love))? ?to (?:know|ask)|"
    r"i (?:wonder|bet|suspect)|i am (?:asking|curious|wondering|betting)|my question is)\b"
)
# Where the question begins in a sentence that tells a story first: "my dog has one, so is it soft".
_CORE = re.compile(
    r"(?:, |\bso |\bthen |\bnow )(?:so |and |but |then |now |or )*"
    r"((?:is|are|was|were|do|does|did|can|could|will|would|has|have|should|might|may) "
    r"(?:it|you|u|this|that|yours?|ur|people|ppl|one|they|there|we|i|the|a|an|somebody|someone|kids|children)\b.*)"
)
_PLAIN = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "-", 0x2014: "-", 0xA0: " ", ord("\t"): " "}


class Sentence(NamedTuple):
    """A text's one question, in small letters without punctuation but commas.

    Args:
        text (`str`): the question, without what was told before it.
        marked (`bool`): whether a question mark or words such as "I wonder" tell that it asks something.
        whole (`bool`): whether nothing was told before it.
    """

    text: str
    marked: bool
    whole: bool


_SUBJECT = r"(?:it|this|that|they|you|we|one|people|someone|the|an?|most)\b"
_CONTRACTIONS = [
    (re.compile(pattern), text)
    for pattern, text in (
        # "Isn't it alive?" expects a yes of what is alive; only "Is it not alive?" asks for the contrary.
        (rf"(?<!\bit )(?<!\bthat )\b(is|does|do|are|was|has|did|could|would|should)n'?t (?={_SUBJECT})", r"\1 "),
        (rf"\bcan'?t (?={_SUBJECT})", "can "),
        (r"\bcan't\b|\bcannot\b|\bcant\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"\bain't\b", "is not"),
        (r"n't\b", " not"),
        (r"\b(is|does|do|are|was|has|did|could|would)nt\b", r"\1 not"),
        (r"\b(it|that|he|she|what|there|this|answer|object|thing|guess)'s\b", r"\1 is"),
        (r"^its (?=(?:a|an|the|not|alive|made)\b)", "it is "),
        (r"'re\b", " are"),
        (r"'m\b", " am"),
        (r"'d\b", " would"),
        (r"'ve\b", " have"),
        (r"'ll\b", " will"),
        (r"\bman[- ]made\b", "manmade"),
        (r"\bsmth\b", "something"),
        (r"'", " "),
    )
]


@functools.cache
def _patterns(step: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The patterns of a step. A pattern without an end of its own also matches the space behind it."""
    names = dict[str, str]()
    rules = []
    for row in table("twenty_questions", "rewrites.tsv"):
        pattern, replacement = row["pattern"], row["replacement"]
        if row["step"] == "let":  # a name, and the pattern it stands for
            pattern, replacement = replacement, pattern
        for name, text in names.items():
            pattern = pattern.replace(f"<{name}>", text)
        if row["step"] == "let":
            names[replacement] = pattern
        elif row["step"] == step:
            rules.append((pattern, replacement))
    return tuple((re.compile(pattern), text) for pattern, text in itertools.starmap(_ended, rules))


def _ended(pattern: str, replacement: str) -> tuple[str, str]:
    if pattern.endswith("$"):
        return pattern, replacement
    if not re.search(r" \(\?[=!]", pattern):
        pattern += " "
    return pattern, replacement + " " if replacement else ""


def plain(text: str) -> str:
    """A text in small letters, with its contractions written out."""
    text = text.translate(_PLAIN).lower()
    text = re.sub(r"[^\x20-\x7e\n]", "#", text)  # no letter that merely looks like one of ours
    text = re.sub(r"\bt\.\s?v\b\.?", "tv", text)
    for contraction, long in _CONTRACTIONS:
        text = contraction.sub(long, text)
    return text


def sentence(text: str) -> Sentence | None:
    """The one question in a text; `None` if there is none, or more than one."""
    if len(text) > MAX_LENGTH or len(text.split()) > MAX_WORDS:
        return None
    text = re.sub(r"\b(lbs?|ft|oz|kg|cm|in)\.", r"\1", plain(text))
    text = re.sub(r"(?<=\d)\.(?=\d)", "\x00", re.sub(r"(?<=\d),(?=\d{3})", "", text))
    parts = [part.replace("\x00", ".") for part in re.findall(r"[^.?!;:\n]+[.?!;:]*", text)]
    parts = [part for part in parts if re.search(r"[a-z]", part)]
    asked = list(dict.fromkeys(part.strip() for part in parts if "?" in part))
    if not parts or sum(part.split(" ", 1)[0] in OPENERS for part in asked) > 1:
        return None
    chosen = asked[-1] if asked else parts[-1]
    words = _words(chosen)
    if not words:
        return None
    marked = bool(asked) or _WONDERS.search(text) is not None
    core = None if words.split(" ", 1)[0] in OPENERS else _CORE.search(words)
    return Sentence(core[1] if core else words, marked, len(parts) == 1 and core is None)


def _words(text: str) -> str:
    text = " ".join(re.findall(r"[a-z]+|\d+(?:\.\d+)?|[$#,]", text))
    while True:
        before = text
        text = text.removeprefix(", ")
        # The comma after an opening word, as in "so, is it alive", means nothing.
        whole = text.replace(" ,", "", 1)
        for pattern, _ in _patterns("prefix"):
            match = pattern.match(text) or pattern.match(whole)
            if match is not None and match.end() < len(text):
                text = (text if pattern.match(text) else whole)[match.end() :]
                break
        for pattern, _ in _patterns("tail"):
            text = pattern.sub("", text)
        if text == before:
            return text.removesuffix(" ,")


@functools.lru_cache(50_000)
def clause(text: str) -> str:
    """A question in its plain form."""
    text = " ".join(text.split())
    for pattern, _ in _patterns("adverb"):
        text = pattern.sub("", text)
    # The result of one rule may be the input of an earlier one.
    for _ in range(2):
        before = text
        for beginning, pattern, replacement in _clause_patterns():
            if text.startswith(beginning):  # most patterns begin alike, and need not be tried
                text = pattern.sub(replacement, text)
        if text == before:
            break
    return text.strip()


@functools.cache
def _clause_patterns() -> tuple[tuple[str, re.Pattern[str], str], ...]:
    """The patterns of clauses, and the letters that each begins with."""
    rows = []
    for pattern, replacement in _patterns("clause"):
        match = re.match(r"\^([a-z ]*)(?=[^?*a-z ]|$)", pattern.pattern)
        rows.append((match[1] if match else "", pattern, replacement))
    return tuple(rows)


def as_question(text: str) -> str:
    """A statement, or a mere noun, as a question."""
    text = re.sub(r"^(?:i (?:think|believe|guess|suppose|assume) )?(?:that )?", "", text)
    match = re.match(r"^(?:it|this|that|they) (is|are|was|does|can|could|will|would|has|have)\b ?(.*)$", text)
    if match is not None:
        return f"does it have {match[2]}" if match[1] in ("has", "have") else f"{match[1]} it {match[2]}"
    match = re.match(r"^it (\w+) ?(.*)$", text)
    if match is not None:
        return f"does it {match[1]} {match[2]}".strip()
    return text if text.split(" ", 1)[0] in OPENERS else f"is it {text}"
