"""Tells whether a text guesses a city or asks for its name."""

import re
from collections.abc import Sequence

from lmrl_data.tasks.guess_my_city.facts import Mention, word_list
from lmrl_data.tasks.guess_my_city.forms import Reading

# The words of a guess around the name, which is written @.
_HOME = (
    r"(?:(?:the|your|this|that|my|our) )?(?:(?:hidden|secret|mystery|mysterious|home|unknown|correct|right) )?"
    r"(?:city|town|hometown|home|place|answer|name|location|metropolis|home town|birthplace)(?: name)?"
    r"(?: (?:that |which |where )?(?:you|were|we|i)"
    r"(?: (?:are|re|am|live|lived|come|were|was|born|looking|talking|thinking|have|had|in|mind|from|about|of|for|"
    r"describing|hiding|currently|living|do)){1,6})?(?: (?:called|named))?"
)
_WHERE = r"where you (?:are|live|come|were)(?: from| born)?"
_GUESS = re.compile(
    "|".join(
        (
            r"(?:is|was|could|can|might|may|would|must|isnt|wasnt) (?:it|this|that|he|" + _HOME + ")"
            r"(?: (?:be|actually|called|named|known as|in|by any chance|perhaps|maybe|possibly|the|city|of|"
            r"just|really|then|about|town|located|situated|capital|your|hometown|beautiful|great|wonderful)){0,5} @",
            r"(?:it|this|that|its|thats|" + _HOME + ")"
            r"(?: (?:is|must be|might be|could be|has to be|s|was|may be)){0,2}(?: (?:in|the city of|called))? @",
            r"(?:is|are|do|did|were|would|could|might) (?:you|u|ya|we|i)"
            r"(?: (?:be|from|in|living|live|come|born|reside|residing|a native of|native of|originally|currently|"
            r"actually|the city of|originate|speaking|calling|situated|located|based|at|home|happen|to|mean|hail|"
            r"inhabit|perhaps|maybe|by any chance|raised|now|talking about|thinking of|describing)){1,5} @",
            r"(?:you|youre|u|your)(?: (?:are|must be|come|live|be|from|in|were|born|living|mean|might|could)){0,4} @",
            r"(?:is|could|was|would|might) @ (?:(?:be|maybe|perhaps) )?(?:the |your |my |a )?"
            r"(?:" + _HOME + "|it|one|right|correct|" + _WHERE + ")",
            r"@ is (?:" + _HOME + "|it|right|correct|" + _WHERE + ")",
            r"(?:what|how) about @|(?:of )?@|do you call @ (?:your )?home|is your (?:home|city) in @|sounds like @",
            r"the city of @",
        )
    )
)
_PLACE = r"(?:city|country|town|place|hometown|nation)"
_ASKS_NAME = re.compile(
    "|".join(
        (
            r"\bnames? of (?:the|your|this|that|it)\b ?(?:hidden |secret |home |own )?"
            r"(?:" + _PLACE + "|state|province|capital|home|home town)?$",
            r"\b(?:" + _PLACE + r"|it) (?:called|named)$|\b" + _PLACE + r"s? name\b|\bname (?:contain|have|consist)\b",
            r"\bletters?\b(?!.*\b(?:alphabet|airport|code)\b)|\b(?:start|begin|end)s? with\b",
            r"\bsyllables?\b|\brhymes?\b|\bspell(?:ed|ing)?\b|\banagram\b|\binitials?\b|\bnationality\b|\bdemonym\b",
            r"\bvowels?\b|\bconsonants?\b",
            r"\b(?:tell|give|show|reveal|say|disclose)(?: me| us)?(?: just| simply)? (?:the|your|its) "
            r"(?:name|answer|city|country|solution|secret)\b",
            r"^what (?:is|was) it(?: called)?$|^where are you from exactly$|^what is the answer$",
            r"\bwhat do (?:people|you|locals|they) call (?:your|the|this) " + _PLACE + r"\b",
            r"^(?:please )?name (?:the|your) " + _PLACE + r"\b|\bgive (?:me )?(?:a )?hint\b",
        )
    )
)


def asks_name(words: Sequence[str]) -> bool:
    text = " ".join(words)
    if _ASKS_NAME.search(text) and not {"airport", "language", "alphabet", "flag", "currency"} & set(words):
        return True
    for index, word in enumerate(words[:6]):
        if word in ("what", "which"):
            rest = [word for word in words[index + 1 :] if word not in ("the", "is", "your")]
            return (
                bool(rest)
                and rest[0] in word_list("named")
                and all(word in word_list("name_rest") for word in rest[1:])
            )
        if word not in word_list("before") and word not in ("can", "could", "you", "tell", "me", "in", "from", "of"):
            return False
    return False


def guess(words: Sequence[str], mentioned: Sequence[Mention]) -> Reading | None:
    """The reading of a text that names cities; `None` if it is a question about something else."""
    named = [mention for mention in mentioned if mention.one("city", "town")]
    if not named:
        return None
    shortened, country, place = [], None, 0
    for mention in mentioned:
        if mention in named:
            shortened += [*words[place : mention.start], "@"]
        elif mention.one("country"):
            country = mention.one("country").value  # type: ignore[union-attr]
            shortened += words[place : mention.start]
        else:
            shortened += words[place : mention.end]
        place = mention.end
    shortened += words[place:]
    numbers = [city.numbers if (city := mention.one("city")) else frozenset[int]() for mention in named]
    same = frozenset.intersection(*numbers)
    text = re.sub(
        r"@(?: (?:or|aka|also|known|as|formerly|called|now|and|the city of|i mean|that is))*(?: @)+",
        "@ @",
        " ".join(shortened),
    )
    several = "@ @" in text or len(named) > 1
    if several and same:
        text = text.replace("@ @", "@")
    text = re.sub(r"@ (?:in|city in|the capital of|capital of|the biggest city of)$", "@", text.strip())
    text = re.sub(r"\bthe capital (?:city )?(?:of )?@", "@", text)
    core = text.split()
    for _ in range(2):
        if _GUESS.fullmatch(" ".join(core)):
            break
        while core and core[-1] in word_list("after") and core[0] != "@":
            core.pop()
            if _GUESS.fullmatch(" ".join(core)):
                break
        while core and core[0] in word_list("before") and not _GUESS.fullmatch(" ".join(core)):
            core.pop(0)
        if core and core[0] == "@" and all(word in word_list("after") for word in core[1:]):
            core = ["@"]
    if not _GUESS.fullmatch(" ".join(core)):
        return Reading("several", polar=True) if several and not same and "@ @" in text else None
    if several and not same:
        return Reading("several", polar=True)
    if words[0] in ("isnt", "wasnt") or "not" in core:
        return Reading("city", polar=True)
    return Reading("guess", polar=True, numbers=same, country=country)
