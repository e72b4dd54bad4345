"""Tells whether a seller only repeats the buyer's amount, in wonder or scorn: $25,000? You must be joking."""

import re

# Repetitions are bounded: a text must not make the search long.
# An amount alone as a question, and what shows that it is not the seller's own offer: $25,000? You must be joking.
_LEAD = (
    r"(?:(?:only|just|what|really|seriously|wait|so|oh|you want|for|ha|haha|hah|heh|lol|lmao|rofl|wow|whoa|"
    r"huh|hm+|um|uh|ouch|"
    r"yikes|jeez|gosh|geez|man|dude|bro|buddy|pal|come on|excuse me|(?:did )?you (?:just )?(?:say|said)|god|"
    r"no|sorry|you mean|"
    r"a (?:lousy|measly|mere|paltry)|lousy|measly) ,? ?){0,4}"
)
_TAIL = (
    r"(?:are )?you (?:serious|kidding(?: me)?|joking|nuts|crazy|for real|insane|mad)|you're (?:joking|kidding(?: me)?)"
)
_ECHO = re.compile(
    _LEAD + r"[#N@](?: (?:cash|total|all in|out the door))?"
    r"(?: for (?:it|this|that|(?:a|an|this|that|the|my|such) [a-z#N@~ '-]+))?"
    r"(?: ,? ?(?:really|seriously|man|huh|dude|bro|buddy|my friend|sir|pal|lol|haha|" + _TAIL + r"))? [?!.](?: [?!.])*"
)
# The same that needs no scorn behind it: $25,000? And: $15,000 for a new truck?
_BARE_ECHO = re.compile(
    _LEAD + r"[#N@](?: (?:bucks|cash))?(?: for (?:an?|such an?) [a-z#N@~ '-]+)?"
    r"(?: ,? ?(?:really|seriously|huh|lol|haha|" + _TAIL + r"))? [?!.](?: [?!.])*"
)
# What shows that a question after an amount is about the seller's own offer.
_PRESSED = re.compile(
    r"what do you (?:say|think)|\bdeal\b|\b(?:can|could|would|will) you\b|does (?:that|it)|how (?:does|about|"
    r"is)\b|that work|"
    r"sound|fair|interested|take it|final|\byours\b|today\b|shake|sign\b|not a (?:penny|dime|cent|dollar)|no less"
)
_WONDER = re.compile(
    r"(?:(?:wow|whoa|huh|hm+|what|seriously|really|excuse me|wait|lol|haha|ha|sorry|ouch|yikes|jeez|come on|"
    r"oh come on|no|"
    r"no way|oh|oh no|oh man|please|let me get this straight)(?: [.,!?]){0,3} ?){1,4}"
)
_SCORN = re.compile(
    r"^no(?:pe|t)?\b(?! (?:problem|doubt|worries|less))|^(?:ha|haha|hah|lol|lmao|oh please|come on|please|nah|"
    r"hell no|uh-uh|"
    r"ouch|yikes|as if|yeah ,? right|get (?:real|out|outta|lost|serious)|try (?:again|harder)|are you|"
    r"that's (?:cute|funny|adorable|low|light|nothing|theft|"
    r"robbery|a bit))\b|"
    r"chance|question|ridiculous|crazy|wish|paid|more than that|fire|kill(?:ing)? me|decline|pass on|be serious|"
    r"too (?:little|far|cheap)|hardly|refuse|"
    r"too low|below|jok(?:e|es|ing)\b|kidding|no way|can't|cannot|never|lose|losing|laugh|serious|impossible|"
    r"sorry|forget|not (?:enough|even)|insult|dream|get real|nice try|good one|hilarious|funny|comedian|nuts|insane|"
    r"out of your mind|mad\b|rob(?:bing|bery)?\b|steal from|starve|feed my|dead body|pigs? fl|heart attack|"
    r"out of line|"
    r"wrong (?:lot|car|place|guy|dealer)|bicycle|\bbike|scooter|toaster|won't|wouldn't|couldn't|"
    r"don't (?:think|see|make)|"
    r"i'd rather|worth (?:more|way|twice|far|double)|way off|off base|low-?ball|slap|go under|bleed|hurts?\b|"
    r"unfortunately|afraid|"
    r"less than|under (?:my|our|invoice|cost)|out of business|broke\b|bankrupt|apart|good luck|try again|"
    r"another planet|"
    r"high\b|drunk|smoking|drinking|charity|give it away|giving it away|what year|what century|1990|"
    r"not happening|buys? you|"
    r"get you (?:the|a|half|one)|only (?:get|buy)|for that (?:i|you|we|money)|next joke"
)
# Laughter before the amount: Ha! $15,000!
_LAUGH = re.compile(
    r"(?:(?:ha|haha|hah|lol|lmao|dream on|keep dreaming|get real|nice try|good one|in your dreams|"
    r"please)(?: [.,!?]){0,3} ?)"
    r"{1,4}"
)
# Scorn in the same sentence: are you kidding, $15,000?
_MOCKED = re.compile(
    r"\b(?:kidding|joking|serious|dreaming|laugh|insult\w*)\b[^#N@?]{0,40}[#N@](?: for [a-z' ]+)? [?!]$"
)
# Scorn that tells even of an amount that was no question: $15,000! Keep dreaming.
_DERISION = re.compile(
    r"dream|insult|(?<!no )\bjok(?:e|ing)\b|ridiculous|laugh|get real|nice try|not a chance|forget (?:it|about it)|"
    r"as if$|good one|hilarious|funny"
)


def is_echo(sentence: str, after: str, before: str) -> bool:
    """Whether a sentence only repeats the buyer's amount, given the sentences after and before it."""
    if not _ECHO.fullmatch(sentence):
        return bool(_MOCKED.search(sentence))
    if "?" not in sentence:
        return bool(_DERISION.search(after) or _LAUGH.fullmatch(before))
    if _SCORN.search(after):
        return True
    return (
        (not before or bool(_WONDER.fullmatch(before)))
        and bool(_BARE_ECHO.fullmatch(sentence))
        and not _PRESSED.search(after)
    )
