"""Clues: the words around a number that tell whether it is an offer, a list price, or what others paid."""

import re

# L_: the words on the left of a number, up to the clause it is in. R_: those on its right.

GAP = r"(?: [^ ,]+)"
# What may follow a bare number that is a price: 31,500 today, but not 31,500 songs.
FOLLOWS = re.compile(
    r"(?:$|[.,!?;)-]|(?:a|after|all|altogether|and|as|at|be|because|before|but|buddy|by|can|cash|deal|done|down|"
    r"drive|even|everything|final|firm|flat|folks|for|friend|from|here|how|i|if|in|including|instead|is|it|it'll|"
    r"just|less|let's|ma'am|max|maybe|my|net|no|not|now|ok|okay|on|only|or|otd|out|please|plus|rather|right|seems|"
    r"sharp|obo|ttl|should|sign|since|sir|so|sold|sounds|straight|take|tax|that|that's|the|then|there|this|to|"
    r"today|tonight|tops|total|we|what|when|where|which|while|will|with|works?|would|you|your)\b)"
)


def _right(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _left(pattern: str, gap: int = 0) -> re.Pattern[str]:
    return re.compile(rf"(?:^|[ (])(?:{pattern}){GAP}{{0,{gap}}} ?[:,]?$")


R_RATE = _right(
    r"(?:/ )?(?:(?:a|per|each|every|/|-) ?(?:mo|month|week|wk|year|day|gallon|mile)\b|mo\b|monthly|weekly)"
)
R_UNIT = _right(
    r"(?:- ?)?(?:\+ )?(?:easy |honest |original |highway |city |total |more |gentle |low |actual )?(?:miles?|mi|"
    r"mpg|hp|horsepower|bhp|km|years?|yrs?|months?|mos?|days?|weeks?|hours?|minutes?|seats?|seater|seat|"
    r"passengers?|airbags?|speakers?|doors?|cylinders?|inch|inches|liters?|litres?|speeds?|gears?|rpm|pounds|lbs?|"
    r"lb-ft|kwh|kw|stars?|customers?|people|owners?|times|points?|cars|models|units|options|o'clock|am|pm|kids|"
    r"others?|wheel|cups?|mile)\b|(?:on|showing on) (?:the|its) (?:odometer|clock|dash|meter)|on it\b"
)
R_DOWN = _right(
    r"(?:down(?! (?:to|from)\b)|(?:as )?(?:a |your |the )?(?:down[- ]?payment|deposit)|up ?front|"
    r"due at)"
)
R_TRADE = _right(
    r"(?:for|on|toward|towards|against|from|off) (?:your|the|that) (?:trade|old|current|used)|"
    r"for your (?:model|existing)|"
    r"(?:(?:for it |credit )?(?:as|in|on)(?: an?| your| the)? )?trade(?!s? hands)|for trade|"
    r"(?:for|on) the one you (?:have|drive|own)"
)
R_OFF = _right(
    r"is (?:all|the most|as much as|the max\w*) (?:that )?(?:i|we)(?:'m| can| could)* (?:take|knock|come|cut|"
    r"drop|shave)|(?:dollar )?(?:(?:[a-z'-]+ )?(?:discount|rebate)s?\b|off\b|(?:worth )?(?:of|in) (?:discounts?|"
    r"savings?|rebates?)|savings?|"
    r"less(?! than (?:that|my))(?: than| on|$| [.,!?]|,| for)|below|under (?:the )?(?:msrp|list|"
    r"sticker|retail|asking)|"
    r"cash ?back|cash-back|cheaper|lower|reduction|price (?:cut|drop|reduction)|markdown|knocked|taken|instant|"
    r"loyalty|cash discount|manager'?s? discount|holiday discount|dealer discount|customer discount)"
)
R_FEE = _right(
    r"(?:[a-z'-]+ ){0,2}(?:tax credit|credit|sound system|system|packages?|stereo|audio|rims|paint job)\b|"
    r"(?:doc|documentation|dealer|processing|admin)?[ -]?fees?\b|tax|in tax|title|registration|delivery|"
    r"destination|"
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
    r"(?:, )?you (?:say|said)\b|(?:budget|limit|max(?:imum)?\b|ceiling|cap\b|offer\b|counter)|(?:price )?range|"
    r"(?:that |which )?(?:you|you've|you'd) (?:mentioned|said|offered|told|wanted|were|had|gave|quoted|proposed|"
    r"named|have in mind|suggested|want|set|asked|are)|(?:, )?what you (?:wanted|had|were|meant|planned|"
    r"have in mind)|(?:is|was) (?:your(?! (?:price|cost|total|new|final price|out|deal))|what you(?!'ll pay| pay|"
    r"'d pay| get))|(?:as |be )?your (?:[a-z]+ )?(?:budget|limit|max|ceiling|cap\b|range|top)|the most you|(?:is |"
    r", )?(?:that's )?(?:all|what|as much as) you (?:have|can|got|want to)"
)
R_LIST = _right(
    r"(?:list\b|msrp|sticker|retail|price tag|tag\b|window|manufacturer|suggested|starting price|"
    r"mark)"
)
R_REFUSED = _right(
    r"(?:(?:is|'s|s|was|would be|isn't|won't|doesn't|just|simply|really|is just|can't|wouldn't|not|still|really|"
    r"honestly|unfortunately|,) ?)* ?(?:(?:just |simply |way |far |a bit |a little |much )?too (?:low|little|far|"
    r"cheap)|(?:it's|that's) (?:a|an) (?:hard |firm )?(?:no|pass)\b|not (?:enough|possible|going|something|doable|"
    r"happening|a chance|in a)|no (?:way|chance|go)\b|forget it|(?:you )?must be joking|you're (?:joking|kidding|"
    r"dream)|never\b|nowhere|barely|far from|an? (?:bit |little )?(?:slap|no\b|joke|insult|non-?starter|stretch|"
    r"lowball|fantasy|dream|low\b|light\b)|(?:a bit |a little |pretty )?(?:light|low)\b|insulting|ridiculous|"
    r"laughable|unrealistic|unacceptable|less than (?:i|we|my|our|what)|below (?:my|our|what|cost)|"
    r"out of (?:the question|reach)|impossible|(?:would|will|could) (?:lose|cost|put)|isn't|won't|wouldn't|doesn't|"
    r"can't|cannot|won't)"
)
R_NOUN = _right(
    r"(?:brand )?new\b|when new|is what (?:the (?:last|other|previous)|they|he|she|someone|my (?!price|offer)|it cost|"
    r"(?:i|we)(?: paid|(?:'ve| have)(?: got)? in))\b|(?:went )?in(?:to)? (?:it\b|new\b|this one|that one)\b|"
    r"back\b|apart\b|short\b|"
    r"after [@#~] |"
    r"is (?:the difference|my commission)|(?:invested|"
    r"tied up|sunk) in|(?:- )?(?:car|cars|suv|suvs|sedan|truck|vehicle|ride|beauty|machine|class|"
    r"segment|question|mistake|"
    r"price point|"
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
L_FINANCE = _left(
    r"(?:pre-?)?approved for|financ(?:e|ing|es)|loan|credit|interest|apr|insurance|resale|"
    r"income|salary",
    3,
)
L_OTHERS = _left(
    r"(?:another|other|previous|last|first|different|one) (?:owners?|customers?|buyers?|guys?|"
    r"gentleman|lady|couple|family|"
    r"persons?|people|dealers?|dealerships?|lots?|stores?|clients?|shoppers?|party|fellow|man|woman|"
    r"place)|competit(?:or|ion)\w*|(?:old|first|last|previous) owner|private (?:seller|party)|(?:he|"
    r"she)'s asking|someone(?:'s)?|somebody's|a (?:guy|couple|lady|buyer|customer|fellow|man|"
    r"woman|gentleman) "
    r"(?:willing|ready|who|coming|offering)|"
    r"somebody|they|they're|they've|customers|buyers|dealers|elsewhere|market value|worth|valued|value|"
    r"blue book|kbb|"
    r"invoice|(?:cost|costs) (?:us|me)|paid|across town|down the (?:road|street)|appraised|neighbor|"
    r"people|most folks|sold|he|she|"
    r"you (?:already )?(?:agreed|promised|accepted|signed)|savings account|lose|losing|lost|profit|"
    r"repairs?|(?:in|on|for) (?:gas|fuel)|flip|resell|owes?|owed|difference is|gap is|commission|alone|"
    r"(?:(?:your|a|his|her) (?:friend|buddy)|(?:my|your|his|her) (?:brother|sister|dad|father|mother|mom|cousin|wife|"
    r"husband|uncle|mechanic|son|daughter|aunt))", 5,
)  # fmt: skip
L_FLOOR = re.compile(
    r"(?:(?:can't|cannot|can not|couldn't|won't|will not|wouldn't|never|unable|not|nothing|no|isn't|n't|anything|"
    r"wont|cant)\b[^,]{0,50}\b(?:below|under|lower than|less than|beneath|less|cheaper than|past|lower|"
    r"better than|down from|off)|(?:lowest|minimum|least|bottom line|rock bottom|floor(?! manager)|firm|best|final|"
    r"absolute|"
    r"bottom)\b[^,]{0,40}|stand(?:ing)? at|stay(?:ing)? at|stick(?:ing)? (?:at|to|with)|"
    r"hold(?:ing)? (?:at|to|firm at)|"
    r"has to (?:be|stay at)|must be)(?: [^ ,]+){0,2} ?:?$"
)
L_REFUSE = re.compile(
    r"(?:^| )(?:can't|cannot|can not|couldn't|could not|won't|will not|wouldn't|would not|never|unable|not|"
    r"no way|isn't|don't|wont|cant|nobody|aren't|doesn't|impossible)(?: [^ ,]+){0,7}$"
)
L_ONLY_YOU = re.compile(
    r"you(?:'ll| will| can| could|'d| would)? (?:won't|can't|never|cannot|not)\b|why (?:not|don't|can't|"
    r"won't)|(?:crazy|fool|nuts|insane|mad|mistake) not to|"
    r"^isn't$|is not only|if not|"
    r"not only"
)
L_THEIRS = _left(
    r"budget(?: range)?(?: of| is| was| being| around| about| near)*|your (?:own )?(?:max(?:imum)?|"
    r"limit|ceiling|cap|number|target|"
    r"offer|counter|counteroffer|counter-offer|proposal|bid|figure|price range|range)(?: of|"
    r" is| was| at| being| for)*|(?:spend|spending|afford|"
    r"invest|pay out)(?: [^ ,]+){0,2}|(?:you|you've|you'd|you're|customer) (?:just |already |"
    r"only )?(?:said|mentioned|told|wanted|asked|proposed|were|offer|"
    r"offered|named|want|gave|suggested|had|thinking|bid)(?: [^ ,]+){0,3}|your|(?:did |"
    r"do |are )?you (?:say|mean|saying|talking)|you(?:'d| would| could| can| might)? (?:really )?"
    r"(?:go|pay|stretch|spend) (?:as high as|up to)|you were at|if i hear|to that|did i (?:just )?hear(?: you say)?|"
    r"(?:you(?:'re| are) |dead )?(?:set|stuck|fixed) on|come up with|where did you (?:get|hear|find|"
    r"see)(?: the| that)?|"
    r"who (?:told|quoted|offered) you(?: [^ ,]+)?|how did you (?:arrive at|get to)|why(?: only| just)?|you (?:only |"
    r"do )?have(?: about| around| only)?"
)
L_RANGE = _left(
    r"between|anywhere|rang(?:e|es|ing)(?: from)?|under|below|less than|over|above|more than|up to|upwards of|"
    r"closer to|"
    r"shy of|(?:something|anything|stay|staying|look|looking|shop|shopping) (?:near|around|about)|serious about|"
    r"(?:laugh|dreaming|dream on|by a mile|right there) with|close to|nearly|almost|(?:[a-z]{3,}s|"
    r"ones)(?: are)? starting (?:at|from)|between [#N@] and|cars? (?:from|"
    r"at|as low as)|exceed|within|"
    r"[#N@] (?:-|and up to)", 1,
)  # fmt: skip
L_OFF = _left(
    r"(?:(?:discount|rebate|savings?|reduction|markdown|price cut|break|price drop)(?: of| is| worth| you| it| by|"
    r" another| about| up to| at| the price)*|(?:save|saves|saving|knock(?:ed|ing)?|shave|shaving|"
    r"slash(?:ed)?|cut|(?<!the )(?<!base )(?<!sport )trim(?:ming)?|minus|deduct)"
    r"(?: you| yourself| off| it| the price| the cost| by| a| an| another| over| nearly| about|"
    r" almost| additional| extra| up| to| around| roughly)*|(?:drops?|dropping|dropped|falls|goes down|reduces?|"
    r"reduced|reducing|lowers?|lowered|lowering|come down|coming down|came down|go down|going down|"
    r"bring it down|down)(?: it| the price| my price|"
    r" our price| that| this| price)?(?: by)?(?: another| an(?: extra| additional)?| a(?: further| full)?)?|"
    r"less|(?:take|taking|took|taken) off(?: (?:another|about|already|a full))?|throw(?:ing)? in(?: another)?|"
    r"come down|cash ?back of)"
)
L_LIST = _left(
    r"(?:msrp(?:'s)?|list price(?:'s)?|list-price|(?:list|lists|listed|listing)(?:'s)?|sticker\w*(?:'s)?|"
    r"window sticker|window price(?: is|"
    r" of)*|retail(?:s|'s)?|"
    r"retail price|retailing|"
    r"(?:off|below|under|from|original|initial|first) (?:(?:the|our|my|that) )?asking price|price tag(?:'s)?|"
    r"tag(?:'s)?|"
    r"tagged|start(?:ing)? price|base(?:d)? price|regular price|"
    r"original price|suggested|"
    r"manufacturer's price|originally|normally|usually|regularly|typically|used to (?:be|go|sell)|"
    r"instead of|rather than|"
    r"the regular|the usual|initially|ordinarily)"
    r"(?: (?!(?:but|so|i|i'll|i'd|we|we'll|now|down|to|can|minus|less|and|you|you're|your|bring|"
    r"brings|let's|only|today|(?<!on )it(?! (?:sells|goes|retails|lists)))\b)"
    r"[^ ,#N@%]+){0,5}|(?<!available )(?<!starts )(?<!starting )from(?: the)?|(?:was|"
    r"were) (?:[^ ,]+ )?(?:listed|originally)(?: (?:at|for|over))*|"
    r"(?:list|lists|listed|listing) (?:it|them|that|this(?: one)?|this (?:car|truck|suv)|(?:the|"
    r"this) model) (?:at|for)|"
    r"(?:manufacturer|factory|maker|carmaker|automaker|model) "
    r"(?:suggests|recommends|says|wants|asks|sets|prices)(?: [^ ,#N@%]+){0,3}|"
    r"(?:factory|manufacturer) price(?: is| of| on| at)*(?: [^ ,#N@%]+){0,4}|"
    r"(?:usually|normally|typically|regularly|ordinarily|originally)(?: [^ ,#N@%]+){0,6}|regular|normal|previous|"
    r"advertis\w+(?: it| this| that)*(?: at| for)|off(?: of)?(?: the| our| this| that)?|(?:sticker|"
    r"tag|window)(?: [^ ,]+){0,9} (?:says|reads|"
    r"shows)|on the (?:sheet|list) at"
)
L_FEE = _left(
    r"(?:fees?|tax|taxes|delivery|warranty|insurance|packages?|upgrade|registration|documentation|title|shipping|"
    r"destination|maintenance|plan|accessories|bonus|gift card|wheels|tint|mats|coverage|transmission|engine|"
    r"alternator|brakes|tires|battery)(?: is| are|"
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
    r"deal at|done at|part with it for|(?:met|meeting) you (?:halfway )?at|(?:giving|give|"
    r"offering) (?:it to )?you|now(?: at)?|"
    r"(?:it|this|this one|that|her|the (?:car|truck)|model) (?:to you |home |go )?(?:for|at)|"
    r"(?:we're|i'm|we are|i am|be) (?:now )?at|asking|i(?:'ll)? say|it's|came down to|"
    r"you(?:'d| would| could)? (?:pay|drive off) (?:for|at)|come (?:up )?to|settled on|try|sell (?:at|for)|"
    r"shake (?:hands )?(?:at|on)"
)
R_SMALL = _right(
    r"(?:$|[.,!?;)]|and (?:it's|we|you|not|that's|a|i'll)|even|flat|otd|all[- ]in|cash|out the door|then|"
    r"for (?:it|this|the|you)|if |today|but|drive|on |firm|or )"
)
L_PERCENT = re.compile(
    r"(?:discount|knock|take|taking|off|cut|reduc\w+|lower\w*|drop|slash\w*|save|shave|savings?|minus|"
    r"less|do|give|offer|"
    r"get|save|another|additional|extra|go to|up to|come down|rebate|markdown|down by)(?: [^ ,]+){0,3}$"
)
R_PERCENT = _right(
    r"(?:(?:is|would be|'s) (?:the |my |our |as )*(?:[a-z]+ ){0,2}(?:discount|markdown|reduction|rebate|i can|"
    r"off)|off|discount|reduction|less|below|lower|cheaper|price|rebate|savings?|markdown|knocked|taken|"
    r"employee|cash|"
    r"loyalty|holiday|under|manager|dealer|saving|on (?:this|the|that|it|top)|break|deal|cut)"
)
R_NO_PERCENT = _right(
    r"(?:apr|interest|financ\w+|down\b|tax|more|better|faster|electric|of\b|satisf\w+|sure|tint|rate)"
)
R_STRONG = _right(
    r"(?:even|flat|it is|works?|sounds?|takes it|buys it|gets (?:it|you)|is (?:doable|fine|okay)|or nothing|"
    r"is (?:as low|the (?:lowest|best|floor)|my)|"
    r", (?:cash|final|firm|take it|period|no less|out the door|otd)\b|is where i|and i(?:'ll)? (?:throw|"
    r"include|add|sign)|"
    r"and (?:(?:it's|its|she's|he's|this one's) (?:all )?yours|it's a deal|we(?:'re| are) done|we have|"
    r"we've got|not a|you))\b"
)
# What others paid or asked, and what was turned down.
L_PAST = re.compile(
    r"\b(?:bought|purchased|went (?:for|at)|fetched|auctioned|spent|turn(?:ed|ing) (?:it )?down|passed (?:on|up)|"
    r"rejected|refused?|declined?|said no to|say no to|walked away (?:from|with)|left with|drove (?:off|home)|"
    r"let (?:one|two|another|the (?:last|other)) (?:of [^ ]+ )?go|sold|offered (?:me|us)|was offered|"
    r"been offered|got offered|"
    r"snagged|picked (?:it|one|his|hers) up|picked up)\b"
)
L_SOLD = re.compile(
    r"^(?:(?:ok|okay|alright|fine|then|and|so|well|you win|it's|done|it is) ?,? )*sold(?: to you)?(?: at| for)?$"
)
# What cars like it cost, what this one cost the dealer, and what it will cost some day.
L_MARKET = _left(
    r"a (?:brand[- ])?new one (?:is|was|costs|would|runs|goes|starts)|hold (?:their|its) value|(?:[a-z]{3,}s|"
    r"ones|these|those|they|people|one like (?:it|this))(?: (?:usually|typically|normally|often|"
    r"generally|"
    r"all|can|will|would|still|around here|like (?:this|it|that|these)))* "
    r"(?:start|sell|go|fetch|run|retail|list|cost|average|bring|trade)|"
    r"(?:going|market|average|book|wholesale|auction|resale|appraised|fair market) (?:rate|price|value|average)s?|"
    r"kelley|bluebook|edmunds|nada|carfax|carmax|carvana|autotrader|craigslist|truecar|the (?:web|market|"
    r"auction|bank)|"
    r"online (?:for|at|it's|says)|similar|comparable|"
    r"(?:my|our|dealer|dealer's|dealership's|the) (?:own )?(?:cost|costs|breakeven|break-even|investment)|"
    r"cost (?:price|basis)|"
    r"costs? (?:me|us|the dealer\w*)|(?:break|broke) even(?: at)?|invested|"
    r"(?:when|bought|sold) (?:it was )?(?:brand )?new|brand[- ]new (?:, )?(?:ones?|it|these|they|"
    r"this) (?:would|was|were|runs?|"
    r"costs?|goes|sells)|"
    r"(?:tomorrow|next (?:week|month|year)|after (?:today|tonight|(?:this )?weekend)) (?:it|it's|it'll|"
    r"the price|they|this)",
    5,
)
L_UP = re.compile(
    r"\b(?:went|gone|goes) up(?: by)?$|\bpush(?:ed|es)? (?:it|these|them|this|prices) (?:to|over|past)$|"
    r"\b(?:(?:up|rise|rises|rising|rose|increase|increases|increasing|jump|jumps|climb|climbs|hike|hikes) by|"
    r"(?:price|prices|it) (?:will |'ll |is |are )?(?:go|goes|going|jump|jumps|rise|rises|increase|increases|"
    r"climbs?)"
    r"(?: back| right)?(?: up)? (?:to|by)|it'll (?:go|jump)(?: back)?(?: up)? (?:to|by)|back up to|up another|"
    r"rais(?:e|es|ing))"
    r"(?: [^ ,]+){0,2}$"
)
L_FIRED = re.compile(
    r"\b(?<!you'd be )(?<!you'd be a )(?<!you're )(?<!be an )(?:fired|crazy|insane|nuts|mad|stupid|fool|idiot|"
    r"out of my mind|broke|bankrupt|out of business|out of (?:a|my) job|kill me|fire me|skin me|my head) (?:if|to|"
    r"for|at|on)\b|\brefus(?:e|ing) to\b|\bno way\b|\bhardly\b|\bunable to\b|\bhate to\b|\bhow (?:can|could) i\b"
)
# What the buyer's own car would bring.
L_THEIR_CAR = re.compile(
    r"\b(?:take|taking|buy|buying|accept) (?:in )?(?:your|the old|that old) (?!offer|bid|number|"
    r"price)[^ ,]+(?: [^ ,]+)?"
    r"(?: in| back)? (?:for|at)$|\byour (?:(?:old|current|used|existing|trade|trade-in)\b.*|"
    r"(?:model|car|truck|suv|sedan|van|minivan|vehicle|pickup|jeep)\b.*\b"
    r"(?:bring|fetch|get|gets|worth|apprais\w+|valued?|good for|net|come[s]? in|trade)\b.*)$|"
    r"\b(?:allow|credit)(?:ing)? you(?: [^ ,]+){0,2}$"
)
L_MODEL = re.compile(
    r"(?:^| )(?:peugeot|citroen|fiat|renault|skoda|opel|saab|ferrari|maserati|ram|silverado|sierra|savana|"
    r"express|sprinter|"
    r"promaster|lotus|mclaren|model|number|street|route|apartment|room|extension|code|lot|unit|item|ref|"
    r"reference)$"
)
L_SPEC = re.compile(
    r"\b(?:tows?|towing|payload|hauls?|weighs?|weight|capacity|redlines?|rated|pulls?|carr(?:y|ies)|range|"
    r"revs?|holds?)"
    r"(?: [^ ,]+){0,4}$"
)
L_CHARGE = re.compile(
    r"\b(?:charge|charges|surcharge|fee|fees|deductible|premium|plan|delivery|shipping)\b(?: [^ ,]+){0,6}$"
)
# What a small amount needs before it to be the price of a car.
L_DEAL = re.compile(
    r"\b(?:sell\w*|let|have|own|yours|take|asking|ask|want|price[ds]?|do|go|goes|going|how|what|make|call|say|offer|"
    r"settle|it's|its|it is|for (?:just|only)|car|model|down to|best|lowest|final|would you|could you|total|now|deal|"
    r"pay|part with)\b[^,]*$"
)
L_GET_YOU = re.compile(r"\b(?:get|pay) you(?: about| around| maybe| roughly| only| up to)*$|\bdue (?:at|in|around)$")
L_IF = re.compile(r"\bif (?:it|this|that|she) (?:were|was|had)\b")
# What nobody gets for it, what is wished, and what the buyer asks of the seller.
L_NOBODY = re.compile(
    r"\bwhat makes you think\b|\bdo i look\b|\bwhy (?:would|should) (?:i|we)\b|\bwho would\b|\bhow am i\b|"
    r"\byou (?:really|honestly|seriously) (?:think|believe)\b|\byou think (?:i'd|i would|i'll|i will|we'd)\b|"
    r"\b(?:come [a-z]{3,6}day|tomorrow|next (?:week|month|year)|after (?:the (?:sale|weekend|holidays?|first)|"
    r"this (?:sale|week|month)))"
    r"(?: [^ ,#N@]+){0,3} (?:it's|it'll be|it will be|it is|price is|price will be)$|"
    r"\b(?:you|nobody|no one)(?:'ll)? (?:won't|can't|cannot|couldn't|will not|never|will never) (?:ever )?"
    r"(?:get|find|buy|see) (?:one|an?|any\w*|another|something)\b|\bgood luck\b|"
    r"\bwish (?:i|we|that)\b|\bif only\b|\b(?:would|i'd|we'd) love to (?:do|take|accept|sell|say|go)\b|"
    r"\bseen (?:them|it|one|these|those)\b|\b(?:the|a) (?:dealer|dealership|lot|store|guy|gentleman|man|woman|lady|"
    r"couple|family) (?:in|on|at|down|across|next|from|over|by|who|that|called)\b|"
    r"\b(?:government|state|factory|program) (?:pays|gives)\b|\b(?:do|did) with$|\b(?:code|ends in|ending in)\b"
)
L_ASKED = re.compile(
    r"\b(?:you|you're|you'd|you are) (?:want|asking|ask|expect|expecting|offering|hoping|telling)(?: [^ ,]+){0,7}$"
)
R_DREAM = _right(
    r"(?:, )?(?:(?:i|we) (?:can|could) only|i'd (?:be (?:paying|giving)|rather|sooner)|you(?:'d| would| could|"
    r" can| might) (?:only )?"
    r"(?:get|look at|find|afford|buy) (?:an?|one|some)\b|wouldn't even)|(?:might |would |could |may |will |"
    r"only |barely )*(?:buys?|gets?) you (?:an? (?:used|old|smaller|"
    r"bare|base|bike|scooter)|half|some)\b|for an? [^?]*\?|to finance|value\b|towards?\b|"
    r"from your\b"
)
L_SERVICE = re.compile(r"\b(?:service|tires?|brakes?|belt|oil|maintenance|inspection)(?: [^ ,]+){0,4}$")
R_MINE = _right(
    r"(?:,? ?and )?(?:that's|that is|it's|is) (?:exactly |just |precisely |also |all )?(?:what (?:i'm|i am|"
    r"we're) asking|"
    r"what (?:i|we) (?:want|need|ask)|all (?:i'm|i am|we're|i|we) (?:asking|ask|want|need)|my (?:price|number|"
    r"offer)|our price|(?:i|we) (?:want|ask|need))"
)
R_OKAY = _right(r"(?:is|would be|'s) (?:doable|possible|fine|ok|okay|acceptable|workable|approved)\b|works\b")
L_BOSS = re.compile(
    r"(?:\b(?:he|she|they|manager|boss)(?:'s|'ll|'ve)?(?: just| finally| has| have| already| now)*"
    r" (?:approved|okayed|ok'd|authori[sz]ed|agreed to|cleared|"
    r"signed off on|lets? (?:me|us)|will let me|says? (?:i|we|yes to)|told me|gave me)|"
    r"\b(?:he|she|manager|boss) (?:can|could|will|would|says he can|says she can) do)(?: [^ ,]+){0,5}$"
)
JUST_TO = re.compile(r"[#N@] to$")
SHIFT = re.compile(r"\bfrom\b|\b(?:drop|dropped|reduc\w+|lower\w*|cut|mark\w*|slash\w*|bring|brought)\b")
L_COLON = re.compile(
    r"\b(?:list|msrp|sticker|budget|limit|max|discount|rebate|fee|tax|trade|invoice|payment|offer|price)\b"
)
L_WAS = re.compile(
    r"\b(?:i|we) gave(?: about| over)?$|\b(?:it|this|that|one|price|model|car|tag|first|second|^)(?: one| car|"
    r" price)? was(?: (?:at|only|just|about|around|priced|going|selling|for|over))*$|\b(?:these|those|they|ones|"
    r"cars|models|trucks) were(?: (?:at|only|about|around|priced|going|selling|for))*$|^(?:was|were)(?: (?:at|only|"
    r"just|about|around|priced|going|selling|for|over))*$"
)
L_WAS_MINE = re.compile(r"\b(?:i|we) (?:was|were|started|began)\b(?! (?:thinking|hoping|going to|about to|planning))")
L_NO_FLOOR = re.compile(
    r"\b(?:been|was|were|worth|sold|sells|sell them|goes|"
    r"(?<!let it )(?<!let her )(?<!let this )"
    r"(?<!let that )(?<!let these )(?<!let them )(?<!this one )(?<!that one )go for)\b"
)
L_MOVED = re.compile(
    r"\b(?:down|drop|dropped|reduc\w+|lower\w*|cut|went|go|mark\w*|bring|take|slash\w*|move|came|come|"
    r"it|price|knock\w*)\b"
)
L_SPREAD = re.compile(
    r"(?<!long )(?<!long-)(?<!extended )(?<!standard )(?<!mid )\b(?:rang(?:e|es|ed|ing)|anywhere|between(?! us\b))\b"
)
# A number that is all of a question: about $30,000?
GUESS = re.compile(
    r"(?:is it |say |maybe |somewhere )*(?:(?:around|about|near|roughly|like|closer to|under|over|say|maybe|"
    r"is it) )?"
    r"[#N@] \?"
)
L_MATCH = re.compile(
    r"(?:match|meet|accept|take|do|honor|live with|work with|go with|agree to) (?:your|that|the)(?: offer of)?$"
)
L_LOSS = re.compile(r"\b(?:lose|losing|lost)\b|\brather .*\bthan\b|\b(?:he|they|you) (?:started|began|opened)\b")
R_LOSS = re.compile(
    r"(?:(?:and |then |,|because )*(?:i'm|i am|i'd be|i would be|we're|i|we)(?: would|'d)? (?:losing|lose)\b)|"
    r"(?:over|above|below|under|short of|past|away|apart)(?: from)? (?:your|the|my|our|what)\b"
)
# By how much the price falls: by $300 to $21,700.
L_BY = re.compile(
    r"\b(?:drop|dropp|reduc|lower|cut|mark|slash|bring|come|came|go|went|knock|shav|trim)[a-z]*(?: [^ ,]+){0,3} by"
    r"(?: another| about| an (?:extra|additional)| a (?:full|further))?$"
)
# The buyer's choice of two: closer to $30,000 or $40,000?
L_EITHER = re.compile(
    r"\b(?:closer to|near|around|about|budget|range|thinking|spend|limit|under|over)(?: [^ ,#N@]+){0,3} [#N@] ?,?"
    r"(?: or)?(?: closer to| more like| nearer| around| about| rather| maybe)*$|"
    r"\b(?:what's|which|what is)(?: is| your| more| the)* (?:comfortable|realistic|better|budget|limit|closer|likely)"
    r"[^#N@]*(?:[#N@] ,? ?or ?)?$"
)
L_TOOK = re.compile(
    r"\bif (?:i|we) (?:took|accepted|agreed to|said yes to|did|gave it to you (?:for|at)|(?:sold|sell) it (?:for|at)|"
    r"let it go (?:for|"
    r"at))(?: [^ ,]+){0,2}$"
)
R_WOE = _right(r",? ?(?:then )?(?:my|i'd|we'd|the|he'd|she'd|they'd|i would|we would)\b(?!.*\byou\b)")
L_OFFERED = re.compile(r"\bif you(?:'d| would)? (?:offered|offer|said|say|gave me|give me)(?: [^ ,]+){0,2}$")
R_ACCEPT = _right(
    r",? ?(?:then )?(?:i|we)(?:'d|'ll| would| will| could| can) (?:probably )?(?:accept|take|say yes|sign|"
    r"sell|agree|do|be happy|"
    r"shake)\b"
)
L_ANYTHING = re.compile(r"\b(?:anything|a (?:penny|dime|cent|dollar)) (?:under|below|less than)$")
R_WE_LOSE = _right(r"(?:and|,|means|puts|would mean|has) ?(?:that )?(?:i|i'm|i'd|we|we're|we'd|me|us|my)\b")
# What the buyer is asked to come up to.
L_COME_UP = re.compile(
    r"\b(?:(?:can|could|would|will|might|won't|can't|couldn't) (?:you|we)(?: [a-z]+ly| just| maybe| perhaps|"
    r" at least| even)*"
    r" (?:come|go|stretch|get|move|bump|inch|nudge|push|raise|step|climb|make it)|come|meet (?:me|us)|"
    r"(?:bring|raise|up|push) your (?:offer|bid|number)|bump (?:it|that))"
    r"(?: it| that| yourself| your (?:offer|bid|number))?(?: back)?(?: just)?(?: up)?"
    r"(?: (?:a|just a) (?:bit|little|tad|touch|hair)| some| slightly)?(?: more| further| higher)?(?: up)?"
    r" (?:to|at)(?: say| about| around| maybe)?$"
)
# The seller's own word of before, by which it stands: I quoted you $30,000 and I'll honor it.
R_HONOR = _right(
    r"(?:[a-z]+ ){0,3}?(?:,? ?(?:and|so|but) ?)(?:(?:i|we)(?:'ll|'m| am| will|'re| are|'d| would)? ?(?:still |"
    r"gladly |happily "
    r"|going to )?"
    r"(?:honou?r|stand(?:ing)?|stick(?:ing)?)\b|(?:that|it|the offer) (?:still )?stands)"
)
# A used car that the seller sells, whatever it is called: I'd accept $14,600 for the old Jetta.
L_SELLING = re.compile(
    r"\b(?:i'd|i'll|i|we'd|we'll|we|to|i'm|we're) (?:be (?:willing|prepared|happy|ready) to )?(?:accept|take|"
    r"want|ask|asking|sell|need)"
    r"(?: [^ ,]+){0,2}$"
)
R_USED = _right(r"(?:for|on) the (?:old|used) ")
L_TAKE = re.compile(r"\boff\b.* take$")
L_NAMED = re.compile(
    r"(?:list price|msrp|sticker(?: price)?|retail price|price tag|budget|your (?:max(?:imum)?|limit|ceiling|"
    r"cap|range))$"
)
TO = re.compile(r"[#N@] (?:to|-)$")
SPAN = re.compile(r"[#N@] ?-$")
# What it will cost some day: it'll be $25,000 next week.
L_WILL = re.compile(r"\b(?:it'll|it will|they'll|price will|that'll|'ll) (?:be|cost|go for|run)(?: [^ ,]+){0,2}$")
R_LATER = _right(
    r"(?:by |again |come |starting |from |on )?(?:next (?:week|month|year|spring)|tomorrow|[a-z]{3,6}day\b)(?! only)"
)
L_LOWER = re.compile(r"\b(?:lower than|less than|below|under)$")
R_CANNOT = _right(r",? ?(?:i|we) (?:can't|won't|cannot|couldn't) (?:go|sell|drop|do)\b")
