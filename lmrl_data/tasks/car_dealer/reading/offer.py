"""The signs that an amount is the seller's offer: its clause, what follows, or that it stands alone."""

import re

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


def is_shown(whole: str, clause: str, before: str, right: str) -> bool:
    """Whether something shows that an amount is an offer: its clause, what follows, or that it stands alone."""
    if _FOREIGN.search(clause) or _ASKED.search(before) or _AWAY.match(right):
        return False
    if _SELLS.search(whole) or _SAID.search(whole) or _SHOWN.match(right) or _LED.search(before.rstrip()):
        return True
    return _BARE.fullmatch(whole) is not None and right[:1] in (".", "!", "?", ";", ",", "-", ":", "")
