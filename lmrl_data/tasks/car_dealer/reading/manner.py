"""What a sentence of a seller does beside naming prices: it greets, asks, agrees, presses, or claims features."""

import re
from functools import lru_cache
from typing import NamedTuple

from lmrl_data.tasks.car_dealer.catalog import FEATURES

# A word that tells that a feature is meant, and the expression that makes sure.
_FEATURE = re.compile(
    r"(?P<f0>(?:back-?up|rear-?view|reverse|reversing|rear view|back up|rear)(?: |-)cam(?:era)?s?)"
    r"|(?P<f1>navigation|nav\b|gps|navigator)"
    r"|(?P<f2>heated (?:front |and \w+ )?(?:leather )?seats?|seat heat(?:er|ing)s?|seat warmers?|"
    r"warm seats|heated and)"
    r"|(?P<f3>leather)"
    r"|(?P<f4>(?:third|3rd)[- ]row|seven[- ]seat(?:er|s)?|three rows)"
    r"|(?P<f5>blind[- ]?spots?)"
    r"|(?P<f6>sun-?roof|moon-?roof|sun roof|panoramic roof|glass roof)"
    r"|(?P<f7>car ?-?play)"
)
_NOT = re.compile(
    r"\b(?:no|not|without|lacks?|lacking|missing|n't|don't|doesn't|isn't|aren't|won't|can't|cannot|"
    r"didn't|unfortunately|"
    r"unavailable|except|neither|nor|afraid|sorry|minus|sadly)\b"
)
_NO_HARM = re.compile(
    r"no (?:extra|additional) (?:charge|cost|fees?)|(?:do not|don't|no) (?:worry|worries|charge|"
    r"doubt)|not only|no problem|"
    r"(?:i|we) do not charge|won't (?:regret|believe|charge)|can't (?:beat|go wrong)|"
    r"costs you nothing|why not|isn't (?:it|that)|no need"
)
_WISH = re.compile(
    r"\b(?:you (?:said|want|wanted|need|needed|asked|mentioned|like|would like|are looking|were looking|prefer)|"
    r"you're (?:looking|after)|if you|do you|would you|are you|looking for|interested in|"
    r"how important|which|let me know|"
    r"whether|need to have|must-have|wish)\b"
)
_HAS = re.compile(
    r"\b(?:has|came|does have|ordered|here|look|comes?|included?s?|including|equipped|features|"
    r"featuring|boasts?|got|fitted|standard|loaded|packs|"
    r"plus|it's there|there is|offers|gives|get|provides?|yes|both|all|with the)\b"
)


@lru_cache(maxsize=10_000)
def _claims(clause: str, asks: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    features = dict.fromkeys(
        FEATURES[int(match.lastgroup[1:])] for match in _FEATURE.finditer(clause) if match.lastgroup
    )
    if not features or (asks and not _TAG.search(clause)):
        return (), ()
    if _WISH.search(clause) and not _HAS.search(clause):
        return (), ()
    if _NOT.search(_NO_HARM.sub("", clause)):
        return (), tuple(features)
    return tuple(features), ()


_TAG = re.compile(
    r"\b(?:has|comes with|equipped|included)\b.*(?:right|isn't it|you know|ok)$|did i mention|did you know"
)
_CLAUSE = re.compile(r"([.!?;]| but | though | however | although | yet )")
_TRIGGERS = re.compile(r"cam|nav|gps|seat|leather|row|blind|roof|play")


@lru_cache(maxsize=10_000)
def features_of(masked: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The features a line claims that the car has, and those it says are missing."""
    if not _TRIGGERS.search(masked):
        return (), ()
    claimed: dict[str, None] = {}
    missing: dict[str, None] = {}
    parts = _CLAUSE.split(masked)
    for i in range(0, len(parts), 2):
        has, lacks = _claims(parts[i].strip(), parts[i + 1 : i + 2] == ["?"])
        claimed.update(dict.fromkeys(has))
        missing.update(dict.fromkeys(lacks))
    return tuple(name for name in claimed if name not in missing), tuple(missing)


@lru_cache(maxsize=10_000)
def named_features(masked: str) -> tuple[str, ...]:
    """The features a text names, claimed or not."""
    if not _TRIGGERS.search(masked):
        return ()
    return tuple(dict.fromkeys(FEATURES[int((match.lastgroup or "f0")[1:])] for match in _FEATURE.finditer(masked)))


class Manners(NamedTuple):
    """What a sentence does, without its numbers.

    Args:
        acts, asks (`frozenset[str]`), agrees (`bool`): as in a seller's act.
        yes, no (`bool`): whether it says yes or no in plain words.
        sure (`bool`), weak (`str`): whether it says yes in other words, and whether it begins with yes, no or okay.
        one (`bool`): whether it speaks of a car without naming it.
    """

    acts: frozenset[str]
    asks: frozenset[str]
    agrees: bool
    yes: bool
    no: bool
    sure: bool
    weak: str
    one: bool


_SAYS = re.compile(
    r"(?:^|[.,!?;:-] |\b(?:but|and) )(?:oh )?(?:(?P<yes>yes|yeah|yep|yup|affirmative)|"
    r"(?P<no>no(?! (?:problem|extra|rush|worries|doubt|deal|miles|kidding|"
    r"matter|need|one|lower|more|less|discounts?|fees?|charge|way|trouble|wonder|really|, wait))|nope|"
    r"nah|unfortunately|sadly|"
    r"(?:i'm|i am|we are|we're) afraid|afraid not|i wish i could|i would love to ,? ?but))\b"
)
_YES_START = re.compile(
    r"(?:(?:oh|well|why|great question|good question|ah)[ ,]+)*(?:sure|absolutely|certainly|definitely|indeed|correct|"
    r"right|of course|it (?:does|sure does|is|has)\b|you bet|that's (?:right|correct)|by all means|no problem|they do|"
    r"totally|without a doubt|surely)\b"
)
_SURE = re.compile(
    r"(?:^|[,:] |\bbut |\band )(?:of course|certainly|absolutely|sure|with pleasure|it does)(?:$| ?[ ,.!])"
)
_NO_START = re.compile(
    r"(?:well[ ,]+)?(?:it (?:doesn't|does not|isn't)|not (?:on|this|in)|they don't|sorry ,? ?(?:no|but no|it))\b"
)
_AGREE = re.compile(
    r"\b(?:deal|agreed|sold|accept(?:ed)?|that works|works for me|you win|shake on (?:it|that)|let's do (?:it|that)|"
    r"i can do that|we can do that|i'll do (?:it|that)|we'll do (?:it|that)|i'll take (?:it|that|"
    r"your)|fine by me|fine with me|"
    r"consider it done|can live with that|sounds good|sounds fair|fair enough|you have yourself|"
    r"it's yours|congratulations|"
    r"all yours|we have an agreement|i can make that (?:work|happen)|let's make it happen|done|happy to do that|"
    r"that's acceptable|good with that|i'll match (?:it|that)|we'll match that|i can meet (?:that|you there)|works)\b"
)
_NO_AGREEMENT = re.compile(
    r"\b(?:no deal|not|can't|cannot|won't|couldn't|wouldn't|doesn't|never|isn't|if|"
    r"you (?:already )?(?:agreed|accepted)|"
    r"already agreed|great deal|good deal|best deal|better deal|real deal|deal of|deals|hard to|a deal on|big deal|"
    r"amazing deal|special deal|fantastic deal|sold (?:it|one|out|for|to|last|this|the|two|three|my|at)|deal breaker|"
    r"unless|before (?:it's|someone)|get sold|it sold|being sold|get it done|once|sweeten the deal|"
    r"what a deal|steal of a deal|"
    r"deal (?:you|with|ends|expires|is|that|only|like|for you|won't)|your deal|this deal|the deal|"
    r"a deal like|works (?:with|out)|how .* works)\b"
)
_PHRASES = {
    "greet": re.compile(r"\b(?:hello|hi|hey|welcome|good (?:morning|afternoon|evening|day)|howdy|greetings)\b"),
    "trade_in": re.compile(r"\btrad(?:e|ing)[- ]?(?:in|ins|your)?\b"),
    "pressure": re.compile(
        r"\b(?:today only|right now|won't last|last one|going fast|limited time|someone else|"
        r"another (?:buyer|customer)|"
        r"before it's gone|expires?|ends (?:today|tonight|soon)|hurry|don't miss|once in a lifetime|"
        r"now or never|selling fast|"
        r"miss out|other (?:buyers|customers)|act (?:fast|now)|sign (?:today|now|right)|"
        r"time is running|gone by|sleep on|tick)\b"
    ),
    "firm": re.compile(
        r"\b(?:firm|final offer|best (?:price|offer|i can)|(?:can't|cannot|won't|couldn't|not) (?:go|"
        r"come|get|do|drop) (?:any )?"
        r"(?:lower|less|below|down|better)|lowest|take it or leave|non-?negotiable|bottom line|"
        r"no (?:more )?discounts?|no lower|"
        r"rock bottom|not budg\w+|won't budge)\b"
    ),
    "refuse": re.compile(
        r"\b(?:can't do that|cannot do that|can't accept|no deal|too low|not possible|can't agree|"
        r"won't work|out of the question|"
        r"(?:don't|do not|haven't|no longer) (?:have|carry|sell|stock|got) (?:any|a|the|that|those|"
        r"it)|can't go that low|i'll have to (?:pass|decline)|not enough|can't let it go|can't sell|"
        r"not for sale|no can do)\b"
    ),
    "goodbye": re.compile(
        r"\b(?:goodbye|good-bye|bye|farewell|have a (?:nice|great|good|wonderful) (?:day|one|evening|"
        r"weekend)|take care|so long|"
        r"see you (?:later|around|soon|next))\b"
    ),
    "smalltalk": re.compile(
        r"\b(?:weather|how are you|how's your|how is your|family|weekend|kids|the game|nice day|"
        r"lovely day|beautiful day|traffic|"
        r"coffee|holiday|football|dog|restaurant|lunch|sports?)\b"
    ),
}  # fmt: skip
_TOPICS = {
    "budget": re.compile(r"\b(?:budget|price range|a limit|stay in|spend|spending|afford|how much (?:are|were|do|did|"
        r"would)|ballpark)\b"),
    "brand": re.compile(r"\b(?:brands?|makes?|manufacturers?|badge|marque)\b"),
    "type": re.compile(r"\b(?:(?:sedan|suv|truck|convertible|electric|luxury)\b.* or |"
        r"types?|kinds? of (?:car|vehicle)|"
        r"body|style|sedan or|suv or|sort of (?:car|vehicle|ride|wheels)|shape)\b"),
    "features": re.compile(r"\b(?:features?|options?|must-haves?|extras?|wishes|must have|technology|has to have|"
        r"should(?: it)? have|in it|comfort|safety|inside|equipment|needs to have|should it have|gadgets|"
        r"can't live without)\b"),
    "open": re.compile(
        r"\b(?:help you|looking for|can i do for you|have in mind|brings you|interested in|"
        r"after today|assist|need today|"
        r"what are you after|what do you want|in mind)\b"
    ),
    "close": re.compile(
        r"\b(?:deal|sound|sounds|work for you|shall we|ready to|agree|sign|shake|how about it|"
        r"what do you (?:say|think)|"
        r"take it|paperwork|yes or no|interested\b(?! in))\b"
    ),
}  # fmt: skip
_ONE = re.compile(
    r"\b(?:(?:have|got|has) (?:just |exactly )?(?:a |the |that )?(?:perfect |great |right |"
    r"nice )?(?:one|thing|car|vehicle|"
    r"option|model|what you)|just the (?:one|thing|car)|this (?:car|one|vehicle)|the car|this (?:beauty|baby))\b"
)


@lru_cache(maxsize=10_000)
def manners_of(masked: str) -> Manners:
    """What a sentence does, by its words; numbers are masked, so that sentences with other numbers are alike."""
    question = masked.endswith("?")
    acts = frozenset(name for name, pattern in _PHRASES.items() if pattern.search(masked))
    asks: frozenset[str] = frozenset()
    if question:
        topics = frozenset(topic for topic, pattern in _TOPICS.items() if pattern.search(masked))
        asks = topics or frozenset(["other"])
    verdict = _SAYS.search(masked)
    start = masked.lstrip(" .,!-")
    if start.startswith(("ok ", "okay ", "alright ", "fine ")):
        weak = "okay"
    else:
        weak = "yes" if _YES_START.match(start) else "no" if _NO_START.match(start) else ""
    return Manners(
        acts,
        asks,
        not question and bool(_AGREE.search(masked)) and not _NO_AGREEMENT.search(masked),
        bool(verdict and verdict["yes"]),
        bool(verdict and verdict["no"]),
        bool(_SURE.search(masked)),
        weak,
        bool(_ONE.search(masked)),
    )
