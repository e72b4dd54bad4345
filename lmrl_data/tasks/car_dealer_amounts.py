"""What each number of a seller's line is, by the words around it: the offer, a list price, a discount, the mileage."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple


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


# --- classes: the words on the left of a number, up to the clause it is in, and those on its right

_GAP = r"(?: [^ ,]+)"
# What may follow a bare number that is a price: 31,500 today, but not 31,500 songs.
_FOLLOWS = re.compile(
    r"(?:$|[.,!?;)-]|(?:a|after|all|altogether|and|as|at|be|because|before|but|buddy|by|can|cash|deal|done|down|drive|"
    r"even|everything|final|firm|flat|folks|for|friend|from|here|how|i|if|in|including|instead|is|it|it'll|just|less|"
    r"let's|ma'am|max|maybe|my|net|no|not|now|ok|okay|on|only|or|otd|out|please|plus|rather|right|"
    r"seems|sharp|should|sign|"
    r"since|sir|so|sold|sounds|straight|take|tax|that|that's|the|then|there|this|to|today|tonight|tops|total|we|what|"
    r"when|where|which|while|will|with|works?|would|you|your)\b)"
)


def _right(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _left(pattern: str, gap: int = 0) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[ (])(?:{pattern}){_GAP}{{0,{gap}}} ?[:,]?$")


R_RATE = _right(
    r"(?:/ )?(?:(?:a|per|each|every|/|-) ?(?:mo|month|week|wk|year|day|gallon|mile)\b|mo\b|monthly|weekly)"
)
R_UNIT = _right(
    r"(?:- ?)?(?:\+ )?(?:easy |honest |original |highway |city |total |more |gentle |low |actual )?(?:miles?|mi|mpg|"
    r"hp|horsepower|bhp|km|years?|yrs?|months?|mos?|days?|weeks?|hours?|minutes?|seats?|seater|seat|"
    r"passengers?|airbags?|"
    r"speakers?|doors?|cylinders?|inch|inches|liters?|litres?|speeds?|gears?|rpm|pounds|lbs?|lb-ft|kwh|kw|stars?|"
    r"customers?|people|owners?|times|points?|cars|models|units|options|o'clock|am|pm|kids|others?|wheel|cups?|"
    r"mile)\b|(?:on|showing on) (?:the|its) (?:odometer|clock|dash|meter)|on it\b"
)
R_DOWN = _right(r"(?:down(?! (?:to|from)\b)|(?:as )?(?:a |your |the )?(?:down[- ]?payment|deposit)|up ?front|due at)")
R_TRADE = _right(r"(?:for|on|toward|towards|against|from|off) (?:your|the|that) (?:trade|old|current)|trade|for trade")
R_OFF = _right(
    r"(?:dollar )?(?:(?:[a-z'-]+ )?(?:discount|rebate)s?\b|off\b|(?:worth )?(?:of|in) (?:discounts?|"
    r"savings?|rebates?)|savings?|"
    r"less(?! than (?:that|my))(?: than| on|$| [.,!?]|,| for)|below|under (?:the )?(?:msrp|list|"
    r"sticker|retail|asking)|"
    r"cash ?back|cash-back|cheaper|lower|reduction|price (?:cut|drop|reduction)|markdown|knocked|taken|instant|"
    r"loyalty|cash discount|manager'?s? discount|holiday discount|dealer discount|customer discount)"
)
R_FEE = _right(
    r"(?:[a-z'-]+ ){0,2}(?:tax credit|credit|sound system|system|packages?|stereo|audio|rims|paint job)\b|"
    r"(?:doc|documentation|dealer|processing|admin)?[ -]?fees?\b|tax|in tax|title|registration|delivery|destination|"
    r"warranty|worth|in (?:free |added |extra )?(?:accessories|extras|upgrades?|repairs?|options|"
    r"add-ons|fees|gear|value|"
    r"service)|gift|credit|more\b(?! than)|extra|on top|packages?|upgrade|service|maintenance|bonus|"
    r"over (?:invoice|msrp|sticker)|"
    r"(?:for|toward|towards) (?:the |a |an |your )?(?:full |extended |optional |premium |"
    r"free )*(?:warranty|delivery|package|"
    r"upgrade|doc|documentation|title|registration|shipping|maintenance|service|tint|mats|accessories|"
    r"insurance|gas|tires)"
)
R_THEIRS = _right(
    r"(?:budget|limit|max(?:imum)?\b|ceiling|cap\b|offer\b|counter)|(?:price )?range|"
    r"(?:that |which )?(?:you|you've|you'd) (?:mentioned|said|offered|told|wanted|were|had|gave|quoted|proposed|named|"
    r"have in mind|suggested|want|set|asked|are)|(?:is|was) (?:your|what you)"
)
R_LIST = _right(
    r"(?:list\b|msrp|sticker|retail|price tag|tag\b|asking|window|manufacturer|suggested|starting price|mark)"
)
R_REFUSED = _right(
    r"(?:is|'s|was|would be|isn't|won't|doesn't|just|simply|really|is just|can't|wouldn't|not|"
    r",)* ?(?:(?:just |simply |"
    r"way |far |a bit |a little |much )?too (?:low|little|far|cheap)|not (?:enough|possible|going|something|doable|"
    r"happening)|below (?:my|our|what|cost)|out of (?:the question|reach)|impossible|(?:would|will|"
    r"could) (?:lose|cost|"
    r"put)|isn't|won't|wouldn't|doesn't|can't|cannot|won't)"
)
R_NOUN = _right(
    r"(?:- )?(?:car|cars|suv|suvs|sedan|truck|vehicle|ride|beauty|machine|class|segment|question|mistake|price point|"
    r"convertible|job|model|loan|wheels)\b|to spend|for (?:the|your) (?:last|previous|other) |(?:last|yesterday|"
    r"elsewhere|(?:the |a )?new ones?|across town|down the)|by (?:another|the other|someone)|"
    r"for (?:one|it) (?:last|yesterday|elsewhere)|"
    r"(?:at|from) (?:another|other|the other|their|the competition)"
)
R_RANGE = _right(r"(?:-|to|and) [#N@](?: |$)")

L_RATE = _left(r"monthly|month|weekly|installments?|payments?|leas(?:e|ing|es|ed)|per month", 4)
L_DOWN = _left(r"down ?payments?|deposit|put(?:ting)? down|signing", 2)
L_MILES = _left(
    r"(?:odometer|mileage|clock|driven|vin|stock|serial|phone|call(?: us| me)? (?:at|on))"
    r"(?: of| is| at| reads| reading| shows| says| around| about| just| only| under| over| has| been| a| number)*"
)
L_TRADE = _left(
    r"trade(?:-| |d )?(?:in)?s?|trading|(?:your|the) (?:old|current|existing) (?:car|vehicle|one|ride|model)", 4
)
L_FINANCE = _left(r"financ(?:e|ing|es)|loan|credit|interest|apr|insurance|resale|income|salary", 1)
L_OTHERS = _left(
    r"(?:another|other|previous|last|first|different|one) (?:owners?|customers?|buyers?|guys?|"
    r"gentleman|lady|couple|family|"
    r"persons?|people|dealers?|dealerships?|lots?|stores?|clients?|shoppers?|party|fellow|man|woman|"
    r"place)|competit(?:or|ion)\w*|someone|"
    r"somebody|they|they're|they've|customers|buyers|dealers|elsewhere|market value|worth|valued|value|blue book|kbb|"
    r"invoice|(?:cost|costs) (?:us|me)|paid|across town|down the (?:road|street)|appraised|neighbor|"
    r"people|most folks|sold|he|she|"
    r"you (?:already )?(?:agreed|promised|accepted|signed)|savings account|lose|losing|lost|profit|"
    r"repairs?|gas|fuel", 5,
)  # fmt: skip
L_FLOOR = re.compile(
    r"(?:(?:can't|cannot|can not|couldn't|won't|will not|wouldn't|never|unable|not|nothing|no|isn't|n't|anything|"
    r"wont|cant)\b[^,]{0,50}\b(?:below|under|lower than|less than|beneath|less|cheaper than|past|lower|"
    r"better than|down from|off)|(?:lowest|minimum|least|bottom line|rock bottom|floor|firm|best|final|absolute|"
    r"bottom)\b[^,]{0,40}|stand(?:ing)? at|stay(?:ing)? at|stick(?:ing)? (?:at|to|with)|"
    r"hold(?:ing)? (?:at|to|firm at)|"
    r"has to (?:be|stay at)|must be)(?: [^ ,]+){0,2} ?:?$"
)
L_REFUSE = re.compile(
    r"(?:^| )(?:can't|cannot|can not|couldn't|could not|won't|will not|wouldn't|would not|never|unable|not|"
    r"no way|isn't|don't|wont|cant|nobody|aren't|doesn't|impossible)(?: [^ ,]+){0,7}$"
)
L_ONLY_YOU = re.compile(
    r"you(?:'ll| will| can| could|'d| would)? (?:won't|can't|never|cannot|not)\b|why not|is not only|if not|not only"
)
L_THEIRS = _left(
    r"budget(?: range)?(?: of| is| was| being| around| about| near)*|your (?:own )?(?:max(?:imum)?|"
    r"limit|ceiling|cap|number|target|"
    r"offer|counter|counteroffer|counter-offer|proposal|bid|figure|price range|range)(?: of|"
    r" is| was| at| being| for)*|(?:spend|spending|afford|"
    r"invest|pay out)(?: [^ ,]+){0,2}|(?:you|you've|you'd|you're|customer) (?:just |already |"
    r"only )?(?:said|mentioned|told|wanted|asked|proposed|were|offer|"
    r"offered|named|want|gave|suggested|had|thinking|bid)(?: [^ ,]+){0,3}|your|(?:did |"
    r"do )?you (?:say|mean)|you were at|you (?:only |"
    r"do )?have(?: about| around| only)?"
)
L_RANGE = _left(
    r"between|anywhere|rang(?:e|es|ing)(?: from)?|under|below|less than|over|above|more than|up to|upwards of|"
    r"shy of|close to|nearly|almost|starting(?: price)?(?: at| from)|between [#N@] and|cars? (?:from|"
    r"at|as low as)|exceed|within|"
    r"[#N@] (?:-|and up to)", 1,
)  # fmt: skip
L_OFF = _left(
    r"(?:(?:discount|rebate|savings?|reduction|markdown|price cut|break|price drop)(?: of| is| worth| you| it| by|"
    r" another| about| up to| at| the price)*|(?:save|saves|saving|knock(?:ed|ing)?|shave|shaving|"
    r"slash(?:ed)?|cut|trim|minus|deduct)"
    r"(?: you| yourself| off| it| the price| the cost| by| a| an| another| over| nearly| about|"
    r" almost| additional| extra| up| to| around| roughly)*|(?:drops?|dropping|dropped|falls|goes down|reduces?|"
    r"reduced|reducing|lowers?|lowered|lowering|come down|coming down|came down|go down|going down|"
    r"bring it down|down)(?: it| the price| my price|"
    r" our price| that| this| price)?(?: by| another| an(?: extra| additional)?| a(?: further| full)?)?|"
    r"less|take off|taking off|throw(?:ing)? in(?: another)?|come down|cash ?back of)"
)
L_LIST = _left(
    r"(?:msrp|list price|list-price|(?:list|lists|listed|listing)|sticker\w*|window sticker|retails?|"
    r"retail price|retailing|"
    r"asking price|price tag|tag|tagged|start(?:s|ing)?(?: price)?|base(?:d)? price|regular price|"
    r"original price|full price|suggested|"
    r"manufacturer's price|originally|normally|usually|regularly|typically|used to (?:be|go|sell)|"
    r"instead of|rather than|"
    r"the regular|the usual|initially|ordinarily)"
    r"(?: (?!(?:but|so|i|i'll|i'd|we|we'll|now|down|to|can|minus|less|and|you|you're|your|bring|"
    r"brings|let's|only|today|(?<!on )it(?! (?:sells|goes|retails|lists)))\b)"
    r"[^ ,#N@%]+){0,5}|from(?: the)?|(?:was|were)(?: (?:at|only|just|about|around|listed|priced|going|"
    r"selling|for|originally|over))*|"
    r"(?:usually|normally|typically|regularly|ordinarily|originally)(?: [^ ,#N@%]+){0,6}|regular|normal|previous|"
    r"advertis\w+(?: it| this| that)*(?: at| for)|off(?: of)?(?: the| our| this| that)?|(?:sticker|"
    r"tag|window)(?: [^ ,]+){0,9} (?:says|reads|"
    r"shows)|on the (?:sheet|list) at"
)
L_FEE = _left(
    r"(?:fees?|tax|taxes|delivery|warranty|insurance|packages?|upgrade|registration|documentation|title|shipping|"
    r"destination|maintenance|plan|accessories|bonus|gift card|wheels|tint|mats|coverage)(?: is| are|"
    r" of| at| for| costs?| runs?| adds?| adding|"
    r" would be| another| comes to| usually| normally| just| only| about| you|:)*|"
    r"(?:plus|add|adds|adding|extra|additional)"
    r"(?: a| an| another| about| the| up| just| only| in)*"
)
L_HEDGE = re.compile(
    r"\b(?:maybe|might|perhaps|possibly|see if|ask my|talk to my|if my|check|whether|try|"
    r"hypothetically|probably)\b[^,]*$"
)
L_SMALL = _left(
    r"how's|how is|how does|a cool|an even|call it|make it|how about|what about|settle (?:at|on|for)|"
    r"say|meet (?:you |me )?(?:at|halfway at)|let's do|"
    r"can do|could do|i'll do|we'll do|do|down to|go to|yours for|go for|have it for|take|"
    r"it's yours (?:at|for)|firm at|"
    r"get (?:it|you|this)(?: down)? (?:to|for|at)|round (?:it )?(?:down |up )?to|lowest(?: i can go)? is|agree on|"
    r"let it go (?:for|at)|sell (?:it|this) (?:to you )?(?:for|at)|bring it (?:down )?to|"
    r"drop (?:it )?to|land (?:on|at)|"
    r"come down to|give it to you for|stay at|best i can do is|price is|final offer is|offer you|"
    r"deal at|done at|part with it for"
)
R_SMALL = _right(
    r"(?:$|[.,!?;)]|and (?:it's|we|you|not|that's|a)|even|flat|otd|all[- ]in|cash|out the door|then|"
    r"for (?:it|this|the|you)|if |today|but|drive|on |firm|or )"
)
L_PERCENT = re.compile(
    r"(?:discount|knock|take|taking|off|cut|reduc\w+|lower\w*|drop|slash\w*|save|shave|savings?|minus|"
    r"less|do|give|offer|"
    r"get|save|another|additional|extra|go to|up to|come down|rebate|markdown|down by)(?: [^ ,]+){0,3}$"
)
R_PERCENT = _right(
    r"(?:off|discount|reduction|less|below|lower|cheaper|price|rebate|savings?|markdown|knocked|taken|employee|cash|"
    r"loyalty|holiday|under|manager|dealer|saving|on (?:this|the|that|it|top)|break|deal|cut)"
)
R_NO_PERCENT = _right(
    r"(?:apr|interest|financ\w+|down\b|tax|more|better|faster|electric|of\b|satisf\w+|sure|tint|rate)"
)
R_STRONG = _right(
    r"(?:even|flat|it is|works?|sounds?|or nothing|is (?:as low|the (?:lowest|best|floor)|my)|"
    r"and (?:it's yours|we have|we've got|not a|you))\b"
)
L_WAS_MINE = re.compile(r"\b(?:i|we) (?:was|were|started|began)\b")
L_NO_FLOOR = re.compile(r"\b(?:been|was|were|worth|sold|sells|sell them|goes|go for)\b")
L_MOVED = re.compile(
    r"\b(?:down|drop|dropped|reduc\w+|lower\w*|cut|went|go|mark\w*|bring|take|slash\w*|move|came|come|"
    r"it|price|knock\w*)\b"
)
L_SPREAD = re.compile(r"\b(?:rang(?:e|es|ed|ing)|anywhere|between)\b")
# A number that is all of a question: about $30,000?
GUESS = re.compile(
    r"(?:is it |say |maybe |somewhere )*(?:(?:around|about|near|roughly|like|closer to|under|over|say|maybe|is it) )?"
    r"[#N@] \?"
)
_BREAK = re.compile(
    r"[,()/]| but | so (?=i |i'|we |we'|it|that|you|the|let)| - | and (?=i |i'|we |we'|it's|for you|"
    r"then|now)| then | though | however "
)
_AFTER_NUMBER = re.compile(r"[#N@%] (?!to$|and$|-$)(?=.)|^[#N@%]$")
L_MATCH = re.compile(
    r"(?:match|meet|accept|take|do|honor|live with|work with|go with|agree to) (?:your|that|the)(?: offer of)?$"
)
L_LOSS = re.compile(r"\b(?:lose|losing|lost)\b|\brather .*\bthan\b|\b(?:he|they|you) (?:started|began|opened)\b")
R_LOSS = re.compile(
    r"(?:(?:and |then |,|because )*(?:i'm|i am|i'd be|i would be|we're|i|we)(?: would|'d)? (?:losing|lose)\b)|"
    r"(?:over|above|below|under|short of|past|away|apart)(?: from)? (?:your|the|my|our|what)\b"
)
# An amount alone as a question, and what shows that it is not the seller's own offer: $25,000? You must be joking.
ECHO = re.compile(r"(?:only |just |what ,? ?)?[#N@] \?")
SCORN = re.compile(
    r"too low|below|jok(?:e|ing)|kidding|no way|can't|cannot|never|lose|laugh|serious|impossible|"
    r"sorry|forget|not (?:enough|even)|"
    r"insult|dream"
)
L_TAKE = re.compile(r"\boff\b.* take$")
L_NAMED = re.compile(r"(?:list price|msrp|sticker(?: price)?|retail price|price tag|budget)$")
_TO = re.compile(r"[#N@] (?:to|-)$")
_SPAN = re.compile(r"[#N@] ?-$")
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
    return amounts


@lru_cache(maxsize=10_000)
def _kind(before: str, right: str, form: str, size: str) -> str:
    """What a number is, by the words of its sentence before it and the first ones after it."""
    stripped = before.rstrip(" ,:-")
    whole = _BREAK.split(f" {stripped} ")[-1].strip()
    left = _AFTER_NUMBER.split(whole)[-1].strip()
    if before.endswith((",", ", -")) and not L_NAMED.search(left):
        left = ""  # the words before a comma say nothing of the number behind it, but for: the list price, $30,000
    adjacent = before.endswith(stripped)
    if form == "%":
        if _TO.search(before) or R_NO_PERCENT.match(right) or L_FINANCE.search(left) or L_REFUSE.search(left):
            return "other"
        return "percent" if R_PERCENT.match(right) or L_PERCENT.search(left) else "other"
    refused = L_REFUSE.search(left) and not L_ONLY_YOU.search(left)
    if R_OFF.match(right):
        return "other" if refused else "discount"
    if L_LOSS.search(left) or R_LOSS.match(right):
        return "other"
    if form == "~":
        return (
            "discount"
            if size != "large" and re.search(r"(?:knock|another|additional|save you|shave)$", left)
            else "year"
        )
    if R_RATE.match(right) or R_UNIT.match(right) or R_DOWN.match(right) or R_TRADE.match(right):
        return "other"
    if form == "@":
        alone = not whole and right in (".", "!", "") and size == "tens"
        if alone or R_STRONG.match(right) or (L_SMALL.search(left) and R_SMALL.match(right)):
            return "hedged" if L_HEDGE.search(left) else "offer"
        return "firm" if L_FLOOR.search(left) and R_SMALL.match(right) and not L_NO_FLOOR.search(left) else "other"
    if L_SPREAD.search(left) or (R_RANGE.match(right) and not (left.endswith("from") and L_MOVED.search(whole))):
        return "other"
    if L_WAS_MINE.search(left) or _SPAN.search(before):
        return "other"
    if R_FEE.match(right) and (size != "large" or "credit" in right or not right.startswith(("tax", "title", "more"))):
        return "other"
    if L_MATCH.search(left) and not refused:
        return "offer"
    if R_LIST.match(right):
        return "list"
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
    if form == "N" and ((size != "large" and not left) or not _FOLLOWS.match(right)):
        return "other" if right else "offer"
    return "hedged" if L_HEDGE.search(left) else "offer"
