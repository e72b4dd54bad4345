"""What each number of a seller's line is, by the words around it: the offer, a list price, a discount, the mileage."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from lmrl_data.tasks.car_dealer.clues import (
    AFTER_NUMBER,
    BREAK,
    FOLLOWS,
    JUST_TO,
    L_ANYTHING,
    L_ASKED,
    L_BOSS,
    L_BY,
    L_CHARGE,
    L_COLON,
    L_COME_UP,
    L_DEAL,
    L_DOWN,
    L_EITHER,
    L_FEE,
    L_FINANCE,
    L_FIRED,
    L_FLOOR,
    L_GET_YOU,
    L_HEDGE,
    L_IF,
    L_LIST,
    L_LOSS,
    L_LOWER,
    L_MARKET,
    L_MATCH,
    L_MILES,
    L_MODEL,
    L_MOVED,
    L_NAMED,
    L_NO_FLOOR,
    L_NOBODY,
    L_OFF,
    L_OFFERED,
    L_ONLY_YOU,
    L_OTHERS,
    L_PAST,
    L_PERCENT,
    L_RANGE,
    L_RATE,
    L_REFUSE,
    L_SELLING,
    L_SERVICE,
    L_SMALL,
    L_SOLD,
    L_SPEC,
    L_SPREAD,
    L_TAKE,
    L_THEIR_CAR,
    L_THEIRS,
    L_TOOK,
    L_TRADE,
    L_UP,
    L_WAS,
    L_WAS_MINE,
    L_WILL,
    R_ACCEPT,
    R_CANNOT,
    R_DOWN,
    R_DREAM,
    R_FEE,
    R_HONOR,
    R_LATER,
    R_LIST,
    R_LOSS,
    R_MINE,
    R_NO_PERCENT,
    R_NOUN,
    R_OFF,
    R_OKAY,
    R_PERCENT,
    R_RANGE,
    R_RATE,
    R_REFUSED,
    R_SMALL,
    R_STRONG,
    R_THEIRS,
    R_TRADE,
    R_UNIT,
    R_USED,
    R_WE_LOSE,
    R_WOE,
    SHIFT,
    SPAN,
    TO,
)  # fmt: skip


class Amount(NamedTuple):
    """A number and what it is: offer, firm, hedged, theirs (the buyer's), list, discount, percent, year or other."""

    value: float
    kind: str


# A number before it is classed, and the mark that stands for it in the masked text.
class Number(NamedTuple):
    value: float
    # '#' money, 'N' a bare number from 1,000 on, '@' a small bare number, '%', '~' a year, 'X' none of these. The text
    # is in lower case: no word of it can look like one.
    form: str


_SENTENCE = frozenset(".!?;")
FORMS = frozenset("#N@%~X")


def classed(words: Sequence[str], numbers: Sequence[Number]) -> list[Amount]:
    """What the numbers are."""
    amounts = []
    index = first = 0
    for place, word in enumerate(words):
        if word in _SENTENCE:
            first = place + 1
        elif word in FORMS:
            number = numbers[index]
            index += 1
            end = next((i for i in range(place, min(place + 7, len(words))) if words[i] in _SENTENCE), place + 7)
            left, right = " ".join(words[max(first, place - 12) : place]), " ".join(words[place + 1 : end])
            value = number.value
            size = "tens" if 10 <= value < 200 else "tiny" if value < 2_500 else "small" if value < 6_000 else "large"
            mark = words[end] if end < len(words) and words[end] in _SENTENCE else ""
            kind = _kind(left, right or mark, number.form, size)
            if number.form == "@" and kind in ("offer", "firm", "hedged"):
                value *= 1_000
            amounts.append(Amount(value, kind))
            if kind == "list" and (_IN_FULL.search(" ".join(words[first:place])) or _NEEDED.match(right)):
                amounts.append(Amount(value, "offer"))
    return amounts


@lru_cache(maxsize=10_000)
def _kind(before: str, right: str, form: str, size: str) -> str:
    """What a number is, by the words of its sentence before it and the first ones after it."""
    stripped = before.rstrip(" ,:-")
    whole = BREAK.split(f" {stripped} ")[-1].strip()
    left = AFTER_NUMBER.split(whole)[-1].strip()
    if before.endswith((",", ", -")) and (not L_NAMED.search(left) or (L_NAMED.fullmatch(left) and left != whole)):
        left = ""  # the words before a comma say nothing of the number behind it, but for: the list price, $30,000
    if before.endswith(":") and L_REFUSE.search(left) and not L_COLON.search(left):
        left = ""  # let's not fight: $30,000
    adjacent = before.endswith(stripped)
    if form == "%":
        if TO.search(before) or R_NO_PERCENT.match(right) or L_FINANCE.search(left) or L_REFUSE.search(left):
            return "other"
        return "percent" if R_PERCENT.match(right) or L_PERCENT.search(left) else "other"
    refused = L_REFUSE.search(left) and not L_ONLY_YOU.search(left)
    if R_OFF.match(right):
        return "other" if refused else "discount"
    if L_BY.search(left) and not refused and not L_UP.search(left) and size in ("tens", "tiny", "small"):
        return "discount"
    if L_EITHER.search(before):
        return "theirs"
    if form in "#N" and size != "tiny":
        theirs = L_THEIRS.search(left)
        up = L_COME_UP.search(left)
        if up and (up[0].split()[1:2] == ["you"] or not theirs):
            return "offer"
        if not theirs and (R_HONOR.match(right) or (R_USED.match(right) and L_SELLING.search(left))) and not refused:
            return "offer"
        if L_OFFERED.search(left) and R_ACCEPT.match(right):
            return "offer"
        if L_TOOK.search(left) and R_WOE.match(right):
            return "other"
        if L_WILL.search(left) and R_LATER.match(right) and not right.startswith("today"):
            return "other"
        if L_LOWER.search(left) and (L_FIRED.search(left) or R_CANNOT.match(right)):
            return "firm"
        if L_ANYTHING.search(left) and R_WE_LOSE.match(right):
            return "firm"
    if L_LOSS.search(left) or R_LOSS.match(right):
        return "other"
    if L_NOBODY.search(left) or L_ASKED.search(left) or R_DREAM.match(right):
        return "other"
    if form == "N" and L_SERVICE.search(left):
        return "other"
    if form in "#N" and (R_MINE.match(right) or L_SOLD.search(whole)) and not L_THEIRS.search(left):
        return "offer"
    if L_PAST.search(left) or L_UP.search(left) or L_FIRED.search(left) or L_THEIR_CAR.search(left):
        return "offer" if form == "@" and L_SOLD.search(whole) and size == "tens" else "other"
    if form == "~":
        return (
            "discount"
            if size != "large" and re.search(r"(?:knock|another|additional|save you|shave)$", left)
            else "year"
        )
    if (
        R_RATE.match(right)
        or (R_UNIT.match(right) and not _ON_IT.search(f"{left} | {right}"))
        or R_DOWN.match(right)
        or R_TRADE.match(right)
    ):
        return "other"
    if form == "@":
        if refused or L_OTHERS.search(left) or L_THEIRS.search(left) or L_MARKET.search(left) or L_TRADE.search(left):
            return "firm" if size == "tens" and L_FLOOR.search(left) and R_SMALL.match(right) and refused else "other"
        alone = not whole and right in (".", "!", "") and size == "tens"
        if alone or (size == "tens" and (R_STRONG.match(right) or (L_SMALL.search(left) and R_SMALL.match(right)))):
            return "hedged" if L_HEDGE.search(left) else "offer"
        return "firm" if L_FLOOR.search(left) and R_SMALL.match(right) and not L_NO_FLOOR.search(left) else "other"
    if form == "N" and (L_SPEC.search(left) or (L_MODEL.search(before.rstrip()) and size in ("tiny", "small"))):
        return "other"
    if (L_BOSS.search(left) or R_OKAY.match(right)) and not refused and not L_THEIRS.search(left):
        return "offer"
    if L_MARKET.search(left) or (size != "large" and L_CHARGE.search(left)):
        return "other"
    if JUST_TO.search(before) and not SHIFT.search(before):
        return "other"
    if L_WAS.search(left) or L_GET_YOU.search(left) or L_IF.search(before):
        return "other"
    if L_SPREAD.search(left) or (R_RANGE.match(right) and not (left.endswith("from") and L_MOVED.search(whole))):
        return "other"
    if L_WAS_MINE.search(left) or SPAN.search(before):
        return "other"
    if R_FEE.match(right) and (size != "large" or "credit" in right or not right.startswith(("tax", "title", "more"))):
        return "other"
    if L_MATCH.search(left) and not refused:
        return "offer"
    if R_LIST.match(right):
        return "list"
    if right.startswith("asking"):
        return "other"
    if R_THEIRS.match(right):
        return "theirs"
    if R_NOUN.match(right):
        return "other"
    if L_FLOOR.search(left) and not R_REFUSED.match(right):
        if L_NO_FLOOR.search(left):
            return "other"
        if size not in ("tens", "tiny") or not refused:
            return "list" if re.search(r"(?:from|off)(?: [^ ]+)?$", left) and not refused else "firm"
    if refused or R_REFUSED.match(right):
        return "other"
    if L_RATE.search(left) or L_DOWN.search(left) or L_MILES.search(left) or L_TRADE.search(left):
        return "other"
    if L_FINANCE.search(left) or L_OTHERS.search(left):
        return "other"
    if L_THEIRS.search(left):
        return "theirs"
    if L_OFF.search(left) or L_TAKE.search(before):
        return "discount"
    if L_LIST.search(left) and (adjacent or not left.endswith("off")):
        return "list"
    if (adjacent and L_RANGE.search(left)) or (size != "large" and L_FEE.search(left)):
        return "other"
    if form == "N" and ((size != "large" and not left) or not FOLLOWS.match(right)):
        return "other" if right else "offer"
    if size == "tiny" and whole and not L_DEAL.search(left):
        return "other"
    if not _is_shown(whole, AFTER_NUMBER.split(whole)[-1], before, right):
        return "other"
    return "hedged" if L_HEDGE.search(left) else "offer"


# The price on it, not the miles: I can do $20,000 on it.
_ON_IT = re.compile(r"\b(?:do|go|take|offer|accept|give you) \| on it\b")
# What shows that an amount is an offer. There are endless ways to mention another number: without a sign, it is none.
# The seller, the buyer or the car does something for it: I could let you have it for, would you be open to.
_SUBJECT = (
    r"(?:i|we|my|our|mine|let's|let|it|its|this|that|she|he|manager|boss|dealership|you|model|which|(?:the|this|that|"
    r"our|my) "
    r"(?:[a-z0-9'-]+ ){0,2}(?:one|trim|car|truck|suv|van|minivan|sedan|coupe|hybrid|beauty|baby|level|door))"
)
_SAID = re.compile(
    rf"\b{_SUBJECT}(?:'[a-z]+)?(?: [^ ]+){{0,8}}? (?:at|for|to|is|be|costs?|runs?|sells?|on|than|with|about|like|"
    rf"starts|"
    r"leaves|makes|brings)"
    r"(?: (?:you|it|us|me|an?|cool|even|like|exactly|say|only|just|about|around|your|back|now|out|at|the|roughly|"
    r"in))*$|"
    rf"\b{_SUBJECT}(?:'s|'ll be|'d be|'re| is| are)(?: [a-z]+){{0,2}}$|"
    r"\bprice\b(?: [^ ,#N@]+){0,6} is$|"
    r"\bits$|^(?:the|this|that|our|a|your cost|(?:the|your) (?:[a-z-]+ )?(?:number|price|"
    r"cost))(?: [a-z'-]+)?(?: [#N@~X])?"
    r"(?: [a-z]+)? (?:is|'s|runs|costs)(?: only| just| a| an| about)*$|\b(?:above|over|under|below|"
    r"within) your [a-z]+ at$|"
    r"\b(?:makes it|(?:brings|puts) (?:it|you|that|us) (?:to|at)|leaves(?: you| us)?(?: at| with)?)$"
)
_SELLS = re.compile(
    r"\b(?:i|we|me|us|you|manager|boss|he|she|dealership|it|this|that)(?:'[a-z]+)?\b(?: [^ ]+){0,9}? ?\b(?:do|take|"
    r"took|come|go|meet|drop|lower|"
    r"offer|let|sell|accept|make|made|give|giving|get|want|need|ask|asking|settle|say|said|says|call|charge|quote|"
    r"quoted|"
    r"propose|pay|paying|consider|reach|have|counter|thinking|hoping|set|cost|swing|manage|own|drive|put|wrote|write|"
    r"try|squeeze|talked|live)(?: [^ ,]+){0,5}$|"
    r"(?:^|: ?)"
    r"(?:(?:ok|okay|fine|alright|so|then|well|just|and|please|deal|right|sure|or|ha)(?: ,)? ?)*(?:make|say|call|give|"
    r"come|go|"
    r"meet|drop|shake|split|settle|take|try|going|asking|priced|yours|available|selling|sold|deal|done|down|now|still|"
    r"how about|what about|how does|how's|how is|does|would|will|isn't|could|honoring|halfway|why not|walk|sign|write|"
    r"from [#N@]|cash|final|tell you|everything|comes?|brings?|minus|for|at|first|then|costs?|on sale|only)\b|"
    r"\b(?:prices?|priced|pricing|offer|counter-?offer|best|lowest|least|final|bottom line|total|asking|altogether|"
    r"out the door|otd|all[- ]in|halfway|middle|difference|making it|figure|deal|cost to you|yours|on sale|sale|"
    r"available|special|only|now|down|plus|(?:is|are|being)(?: [a-z]+)? (?:offered|going)|"
    r"what if|(?:how|what) about|how (?:does|would))\b(?: [^ ,]+){0,5}$|\b(?:and|or)(?: [^ ,]+){0,2}$|[#N@] to$"
)
# The number is what the rest speaks of, or what it comes with: and it's yours, out the door, would do, sounds fair.
_SHOWN = re.compile(
    r"(?:[,-] ?)?(?:(?:and|then) )?(?:(?:it's|it is|she's|he's|you|we|i|i'll|we'll|i'd|you're|you'd|(?:the|this|"
    r"that) (?:~ )?model|"
    r"has|comes|it (?:fits|comes|can|could|will|would))\b(?! (?:said|told|paid))|"
    r"(?:cash|even|flat|firm|final|otd|obo|out the door|take it|takes|buys|gets (?:it|you (?:the|in|this|it|behind))|"
    r"done|works?|deal|for (?:you|it|this|"
    r"that|the|her|him)|if|plus|sharp|net|tops|straight|today|right now|tonight|all[- ](?:in|told)|on the nose|"
    r"instead of|"
    r"(?:a little )?sounds?|strike|fair|fit|do\b|get (?:it|us)|total|not a|before|approved|or best|ttl|too\b|okay|"
    r"ok\b|then (?:[?.!]|$)|with|on the|price|"
    r"(?:that|it|this) (?:includes|covers)|"
    r"that (?:is|'s)|that's|which is [#%]|(?:is|are|would|will|'s)\b(?! (?:a lot|what (?:you|they|he|she)|great|out|"
    r"over|"
    r"in|your)\b)))|\+"
)
# The same said before, with a comma or a colon: out the door, taxes and all, $30,000. And a car in a list of cars.
_LED = re.compile(
    r"\b(?:out the door|otd|all[- ]in|tell you what|you heard me|as i said|promised|special|for you|best|steal|"
    r"bottom line|"
    r"counter-?offer|until|cost to you|word|like (?:this|you)|given|price tag|total|optioned|loaded|equipped)\b|"
    r"^(?:(?:the|this|that|so|a) )?(?:~ )?model\b.*[,:]$|"
    r"\b(?:i|we|let's|you|my)\b[^,]*:$|\b(?:last|final) [a-z]+ ?:$|\b(?:the|a|this|model) [a-z]+ @ is(?: an?)?$|"
    r"[#N@] ?,? ?(?:and |or |but )*(?:the|your) (?:[^ ,#N@]+ ){0,4}?(?:(?:at|for|is|runs|price|trim)(?: for)?)$"
)
_BARE = re.compile(
    r"(?:(?:ok|okay|fine|alright|right|so|then|well|hmm|even|just|only|at|for|an|a|cool|you|sir|now|or|make|and|no|"
    r"yes|"
    r"sure|here|all|flat|still|sold|deal|friend|buddy|today|cash|tops|firm|usd|eur|sorry|dollars|[-:]) ?)*"
)
# What is another's, of another time, or asked of the buyer's own money: what do you owe on it, around $14,000?
_FOREIGN = re.compile(
    r"\bapprais(?:er|al|ed)\b|"
    r"\b(?:pre-?approved|pay-?off|owe|owed|bank|lender|union|(?:store|shop) (?:has|had|wants|sells)|next year(?:'s)?|"
    r"(?:i|we) (?:know|saw|heard|noticed|found) (?!you|your|i|i'm)|loan|balance|repairs?|bill|income|invoice|"
    r"(?:difference|gap) (?:is|would)|"
    r"average|record|mileage|equity|engine|rebuilt|serviced|heard you|tried to|laugh|comes? out (?:in|next))\b|"
    r"\bin [^ ]+ (?:years?|months?)\b|^(?:and |so )?(?:replacing|fixing|repairing|insuring|renting|leasing)\b|"
    r"\b(?:years?|months?) (?:you|it)|\b(?:that|another|other|some|any) (?:dealer|dealership|guy|place|lot|store|"
    r"shop)\b|\bremember when\b|"
    r"\b(?:these|this|those|they|[a-z]+s) were\b|\b(?:when (?:i|we) said|risen|rose|fell|hear you|(?:i|we|you) saw|"
    r"(?:paint|fix|repair|servic|clean|detail)(?:ed|ing)|the tax)\b|\b(?:my|your|his|her) (?!manager|"
    r"boss)[a-z]+'s [a-z]+ (?:is|was|"
    r"costs?)\b|"
    r"^in (?!cash|total|all|full|the end)[a-z]+(?: [a-z]+)? (?:you'd|you would|you'll|it'd|they)\b"
)
_ASKED = re.compile(
    r"^(?:and |so )?(?:where did you|"
    r"what(?!'s wrong| if| about| say| would you say| do you (?:say|think)| did i want)|which|"
    r"how much|do you|did you|"
    r"is your|are we talking)\b|\bprices? (?:go|goes|going|are going|will go) up\b(?!.*\b(?:but|today|now)\b)"
)
_AWAY = re.compile(
    r"(?:if you (?:ordered|built|bought) (?:it|one) (?:from|new|online)\b|(?:trucks|cars|suvs|vans|vehicles|sedans)\b|"
    r"in (?:this|that|the|it|her)\b(?: car| one| truck| suv| van)?(?: already| so far|[.!]|$)|"
    r"(?:at|from) (?:any|another|other|some|most)\b|elsewhere|anywhere|when (?:it|she|this) was|(?:back )?in ~|"
    r"new in|"
    r"last (?:week|month|year)|,? ?(?:i'm|we're)(?: [a-z]+ly| just)* giving it away|to (?:fix|repair|replace|repaint|"
    r"rebuild|restore|insure|ship|build)\b|,? ?(?:i|"
    r"we)(?:'d| would|"
    r"'ll| will)? (?:be |have to |go )*(?:out of|close|fired|broke|under|starve|homeless))"
)
# A list price that is asked in full: the full sticker of $40,000 is what we need, it is selling at MSRP, $40,000.
_IN_FULL = re.compile(
    r"\b(?:sell(?:s|ing)?|go(?:es|ing)?|priced|sold|yours) (?:at|for) (?:full )?(?:msrp|sticker|"
    r"list)(?: price)? [,:-]$"
)
_NEEDED = re.compile(r"is what (?:i|we) (?:have|need|want|ask|must|get)\b|is what (?:i'm|we're) asking\b")


def _is_shown(whole: str, clause: str, before: str, right: str) -> bool:
    """Whether something shows that an amount is an offer: its clause, what follows, or that it stands alone."""
    if _FOREIGN.search(clause) or _ASKED.search(before) or _AWAY.match(right):
        return False
    if _SELLS.search(whole) or _SAID.search(whole) or _SHOWN.match(right) or _LED.search(before.rstrip()):
        return True
    return _BARE.fullmatch(whole) is not None and right[:1] in (".", "!", "?", ";", ",", "-", ":", "")
