"""What is an offer and what is none: the price that others paid is none, an asking price is one."""

import pytest

from lmrl_data.tasks.car_dealer_parser import read

OFFERS = [
    # an asking price is an offer
    ("The asking price is $27,400.", 27_400),
    ("Our asking price for the Camry is 26,900.", 26_900),
    ("It's priced at $31,250.", 31_250),
    ("This one goes for $22,700.", 22_700),
    ("The red one runs $24,300.", 24_300),
    ("The sport trim runs $29,500.", 29_500),
    ("I'm asking thirty-one five for it.", 31_500),
    ("The LE trim is $26,000 and the XLE trim is $29,000.", 29_000),
    # beside prices of others, of the past, of the market
    ("My neighbor bought one for $33,000, but you can have this for $30,500.", 30_500),
    ("The last one went for $30,000. I'll take $28,900 for this one.", 28_900),
    ("I passed on $25,000 yesterday. Give me $26,200 and it's yours.", 26_200),
    ("I turned down $19,000 last week, so $20,500 is more than fair.", 20_500),
    ("It was $41,000 last month. Now it's $38,900.", 38_900),
    ("These usually sell for $30,000, but I can do $28,000.", 28_000),
    ("Edmunds has it at $27,000, I'm at $26,500.", 26_500),
    ("Book value is $18,200 and that's all I'm asking.", 18_200),
    ("My cost was $24,000, so let's do $24,800.", 24_800),
    ("Carmax wants $23,900; I want $22,900.", 22_900),
    # list prices beside offers
    ("We list it at $33,495, but you can have it for $31,000.", 31_000),
    ("The manufacturer recommends $48,000; my price is $45,500.", 45_500),
    ("We had it listed at $21,000 and I'd go $19,750.", 19_750),
    # a manager's word
    ("My manager approved $28,250.", 28_250),
    ("He says $26,900 is fine.", 26_900),
    ("She okayed 31,400 for you.", 31_400),
    ("The boss will let me go to $29,300.", 29_300),
    # two deals in one line
    ("I'll sell it for $30,000 and take your truck for $6,000.", 30_000),
    ("You get the CR-V for $33,000 and I'll give you $5,000 for your old Accord.", 33_000),
    ("It's $28,000, and your Civic would bring about $7,000 as a trade-in.", 28_000),
    # spoken, short
    ("Twelve-five takes it.", 12_500),
    ("Thirteen-nine and you drive it home.", 13_900),
    ("Thirty-four-five, final.", 34_500),
    ("call it twenty-nine even", 29_000),
    ("Sold at twenty-six two fifty.", 26_250),
    ("Sold for $24,000!", 24_000),
    ("What if I met you at 18.9?", 18_900),
    ("Would you take it for 21.5?", 21_500),
    ("Could you do 23.5?", 23_500),
    ("Okay, I'm at 27.4.", 27_400),
    ("I could let it go for 32.9.", 32_900),
    ("First 26, then 25.5, now 25.", 25_000),
    ("I started at 30, came down to 29, and now I'm giving you 28.", 28_000),
    ("First it was $26,000, then $25,500, now $25,000.", 25_000),
    # hypotheticals and questions are offers
    ("What if we said $27,300?", 27_300),
    ("Would you take it for $19,900?", 19_900),
    ("If I got it down to $33,000, would you sign?", 33_000),
    ("Could you do $24,500?", 24_500),
    ("Suppose I let it go at 41 grand?", 41_000),
    # no refusal of the price behind it
    ("Let's not haggle all day: $33,100.", 33_100),
    ("I can't go lower than $29,900.", 29_900),
    ("The lowest I can go is 17,600.", 17_600),
    ("I won't take less than $36,000.", 36_000),
    ("My boss will kill me, but $24,250.", 24_250),
    ("$23,400? No problem, it's yours.", 23_400),
    ("I refuse to lose you over this, so $22,000.", 22_000),
    # figures of the car beside it
    ("It tows 11,300 pounds and costs $44,900.", 44_900),
    ("The Ram 1500 is $38,700.", 38_700),
    ("With the $1,395 destination charge it comes to $34,200.", 34_200),
]  # fmt: skip

NO_OFFERS = [
    # what others paid, bid or were refused
    "A lady bought the same one last week for $29,900.",
    "My brother purchased his for $31,000.",
    "The last one went for $30,400.",
    "We sold three of these at $28,000 this month.",
    "I let one go for $27,500 in March.",
    "Somebody offered me $26,000 for it this morning.",
    "I turned down $40,000 for it.",
    "I've already rejected $24,000.",
    "We declined an offer of $31,000 yesterday.",
    "She paid thirty-three five for hers.",
    "One just like it fetched $35,000 at auction.",
    "A fellow from Dayton picked one up for $28,900.",
    # the market, the dealer's cost
    "These usually sell for $30,000 to $33,000 around here.",
    "Those typically go for $27,500.",
    "Similar trucks sell for $41,000.",
    "They usually fetch about $22,000.",
    "New ones start at $44,000, you know.",
    "The market price is $32,000.",
    "The going rate is 28 grand.",
    "Book value on it is $21,300.",
    "KBB says $23,000.",
    "Blue book on that is $19,500.",
    "Edmunds says $25,500.",
    "My cost on this one was 33,400.",
    "It cost us $27,800.",
    "Our cost is $30,100.",
    "I break even at $25,000.",
    "We have $26,000 invested in it.",
    "Invoice on this one is $31,200.",
    # what the buyer's own car would bring
    "Your Corolla could bring about nine thousand as a trade-in.",
    "Your old truck is worth maybe $6,500.",
    "I'd value your current car at $11,000.",
    "Your car would fetch around $8,000.",
    "I can allow you $7,200 on the trade.",
    "We could take your Jeep for $9,000.",
    "I'd put $4,500 on it as a trade.",
    "I'll give you $5,000 for your Civic.",
    # refusals
    "$26,500? Not a chance.",
    "$26,500? Not happening.",
    "22 thousand? Forget it.",
    "$18,000? That's ridiculous.",
    "Only $20,000? Come on.",
    "$25,000 is an insult.",
    "$25,000 is still too low.",
    "$27,000 is a non-starter.",
    "$21,000, no way.",
    "I can't let it go for $21,000.",
    "I'd be fired if I let it go for $22,000.",
    "I'd be crazy to sell it for $20,000.",
    "I refuse to sell it for $23,000.",
    "No way I'm taking $24,000.",
    "I can't do 25.",
    "We won't take 31.",
    "How could I sell it for $19,000?",
    "$24,000 won't cut it.",
    # what the buyer said
    "So thirty grand is your limit?",
    "Is $30,000 your absolute max?",
    "You were hoping for $25,000.",
    "You said 25.",
    # bare list prices
    "We list it at $19,995.",
    "The manufacturer suggests $55,000.",
    "The factory price is $41,000.",
    "The window sticker says $38,400.",
    "It retails for $47,250.",
    "The MSRP on that is 36.",
    # the future, fees, other numbers
    "Prices go up by 1,000 dollars next month.",
    "Next week it'll be $33,000.",
    "The price goes back up to $35,000 on Monday.",
    "Tomorrow it goes to $29,500.",
    "I'd be glad to drop it by another thousand.",
    "The price will rise by $1,500.",
    "Destination charge on every new car is $1,395.",
    "The freight charge for this one is $1,100.",
    "The payload is 1,850 pounds and it tows 11,300.",
    "It's a Peugeot 3008 with the 1.6 turbo.",
    "We also have a Silverado 1500 in blue.",
    "The engine redlines at 7,200.",
    "Be here at ten, it opens at nine.",
    "They come to see it at four, so hurry.",
    "Two of 25 sold today.",
    "Ten-four, buddy.",
]  # fmt: skip


@pytest.mark.parametrize(("text", "price"), OFFERS)
def test_what_the_seller_asks_for_is_an_offer_whatever_stands_beside_it(text: str, price: int) -> None:
    assert read(text).price == price


@pytest.mark.parametrize("text", NO_OFFERS)
def test_a_price_of_others_or_of_another_time_is_no_offer(text: str) -> None:
    assert read(text).price is None


@pytest.mark.parametrize(
    ("text", "list_price"),
    [
        ("We list it at $19,995 but I'll let it go at $18,500.", 19_995),
        ("The manufacturer suggests $55,000; I say $53,250.", 55_000),
        ("The factory price is $41,000, mine is $39,000.", 41_000),
        ("The asking price on this truck is $31,999.", None),
        ("It was $35,900. Today it's $33,500.", None),
        ("My cost on this one was 33,400.", None),
        ("New ones start at $44,000, you know.", None),
    ],
)
def test_a_list_price_is_what_the_maker_or_the_list_says(text: str, list_price: int | None) -> None:
    assert read(text).list_price == list_price


@pytest.mark.parametrize(
    ("text", "discount", "percent"),
    [
        ("I'd be glad to drop it by another thousand.", 1_000, None),
        ("I can trim $700 for you.", 700, None),
        ("The base trim is $27,000, the sport trim $30,500.", None, None),
        ("I turned down $40,000 this morning.", None, None),
        ("Seven percent is the biggest markdown I'm allowed to give.", None, 7),
        ("Six percent is the most I can take off.", None, 6),
    ],
)
def test_a_discount_is_what_is_taken_off(text: str, discount: int | None, percent: float | None) -> None:
    act = read(text)
    assert (act.discount, act.percent) == (discount, percent)
