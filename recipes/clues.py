"""Learns how much each clue around an amount counts when a Car Dealer buyer reads its seller.

    python -m lmrl_recipes.clues               learns from all voices but those kept out, and writes assets/votes.tsv
    python -m lmrl_recipes.clues --without H   leaves one more voice out and prints how well it is read

A label is a line's price, and sometimes its list price and discount. Where a price is none of the line's amounts, the
amounts it follows from are found by trying. The votes are those of a multinomial logistic regression in which an
amount may have one of several roles.
"""

import argparse
import csv
import hashlib
import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lmrl_data.atomic import write_text
from lmrl_data.tasks.car_dealer.catalog import FEATURES, catalogue
from lmrl_data.tasks.car_dealer.grammar import listing, load, money
from lmrl_data.tasks.car_dealer.players import RULES
from lmrl_data.tasks.car_dealer.reading import agreement
from lmrl_data.tasks.car_dealer.reading import amount as reading
from lmrl_data.tasks.car_dealer.reading.amount import ROLES, Amount
from lmrl_data.tasks.car_dealer.reading.line import agreement_text
from lmrl_data.tasks.car_dealer.reading.sentence import sentences_of
from lmrl_recipes.training.sentences import table

FOLDER = Path(__file__).parent / "sentences" / "car_dealer"
ASSETS = Path(reading.__file__).parents[1] / "assets"
KEPT_OUT = frozenset("IQ")  # the voices of tests
STEPS = 400
SMALL = 12  # nor has one whose votes are all smaller, in hundredths


class Line(NamedTuple):
    """A labeled line of a seller; `list_price` and `discount` are empty where nobody labeled them."""

    voice: str
    kind: str
    bid: int | None
    price: int | None
    acts: frozenset[str]
    list_price: str
    discount: str
    text: str


def labeled_lines() -> list[Line]:
    """All labeled lines."""
    lines = []
    for name in ("lines.tsv", "prices.tsv"):
        for row in table(f"car_dealer/{name}"):
            bid, price = (int(row[column]) if row[column] else None for column in ("bid", "price"))
            lines.append(Line(row["voice"], row["kind"], bid, price, frozenset(row["acts"].split(";")),
                              row.get("list_price") or "", row.get("discount") or "",
                              row["sentence"].replace("\\n", "\n")))  # fmt: skip
    return lines


def grammar_lines(count: int) -> list[Line]:
    """What the scripted sellers say, in a voice of their own."""
    rng, lines, grammar = random.Random(0), [], load("seller")
    for rule in RULES * (count // len(RULES)):
        car = rng.choice(catalogue())
        price = max(1_000, 100 * int(car.price * rng.uniform(0.7, 0.99) / 100))
        tag = rng.choice(("generous", "features", "concise", "noisy", "plain"))
        text = grammar.say(
            rule, rng.randrange, frozenset([tag]), car=car.name, price=money(price), list_price=money(car.price),
            discount=money(car.price - price), percent="5%", feature=FEATURES[0], features=listing(FEATURES[:2]),
        )  # fmt: skip
        offers = money(price) in text
        lines.append(Line("script", rule, None, price if offers else None, frozenset(["offer"] if offers else []),
                          str(car.price) if money(car.price) in text else "none",
                          str(car.price - price) if money(car.price - price) in text else "", text))  # fmt: skip
    return lines


def tables_digest() -> str:
    """Tells whether the votes were learned from today's tables."""
    rows = [row[:3] for row in csv.reader((ASSETS / "clues.tsv").open(encoding="ascii"), delimiter="\t",
                                          quoting=csv.QUOTE_NONE) if row[0] not in ("asks", "feature")]  # fmt: skip
    labeled = b"".join((FOLDER / name).read_bytes() for name in ("lines.tsv", "prices.tsv"))
    return hashlib.sha256(json.dumps(rows).encode() + labeled).hexdigest()[:16]


# --- labels


def roles_of(line: Line, amounts: Sequence[Amount]) -> list[set[str]]:
    """The roles that each amount may have, by the labels of its line."""
    agrees = "agree" in line.acts
    parts = _derivation(line, amounts) if line.price is not None and not agrees else {}
    allowed = []
    for index, amount in enumerate(amounts):
        if index in parts:
            allowed.append(parts[index])
        elif amount.form in ("year", "other"):
            allowed.append({"other"})
        elif amount.form == "percent":
            is_discount = line.discount == f"{amount.value:g}%"
            allowed.append(set(ROLES) if not line.discount else {"discount" if is_discount else "other"})
        elif _is(amount, line.bid) and (agrees or not _is(amount, line.price)):
            allowed.append({"theirs"})
        elif _is(amount, line.price) and not agrees:
            allowed.append({"offer"})
        elif line.list_price.isdigit() and _is(amount, int(line.list_price)):
            allowed.append({"list"})
        elif line.discount.isdigit() and _is(amount, int(line.discount)):
            allowed.append({"discount"})
        else:
            unlabeled = {"list"} if not line.list_price else set()
            allowed.append({"past", "theirs", "other"} | unlabeled | ({"discount"} if not line.discount else set()))
    return allowed


def _is(amount: Amount, value: int | None) -> bool:
    return value is not None and abs(amount.value - value) < 1


def _derivation(line: Line, amounts: Sequence[Amount]) -> dict[int, set[str]]:
    """The amounts that a price follows from which the line does not name."""
    assert line.price is not None
    if any(_is(amount, line.price) for amount in amounts):
        return {}
    base, discount = {"list", "past"}, {"discount"}
    for i, whole in enumerate(amounts):
        if line.bid and abs((whole.value + line.bid) / 2 - line.price) < 1:
            return {i: {"past"}}
        for j, part in enumerate(amounts):
            share = part.value / 100 * whole.value if part.form == "percent" else part.value
            if i != j and abs(whole.value - share - line.price) < 2:
                return {i: base, j: discount}
            for k, other in enumerate(amounts):
                if len({i, j, k}) == 3 and abs(whole.value - share - other.value - line.price) < 1:
                    return {i: base, j: discount, k: discount}
    return {}


# --- learning


def examples(lines: Sequence[Line]) -> tuple[list[set[str]], np.ndarray]:
    """What votes on each amount, and which of the roles it may have."""
    voters, allowed = [], []
    for line in lines:
        heard = sentences_of(line.text)
        context = [(sentence.words, sentence.numbers) for sentence in heard]
        amounts = reading.amounts_of(context, line.bid)
        voters += [set(reading.votes_of(*parts)) for parts in reading.contexts_of(context, line.bid)]
        allowed += [[role in roles for role in ROLES] for roles in roles_of(line, amounts)]
    return voters, np.array(allowed, np.float32)


def learn(voters: Sequence[set[str]], allowed: np.ndarray, decay: float, rare: int) -> dict[str, list[int]]:
    """The votes of each voter, in hundredths; one that is met fewer times than `rare` has none."""
    counts = Counter(name for names in voters for name in names)
    index = {name: place for place, name in enumerate(sorted(name for name in counts if counts[name] >= rare))}
    inputs = np.zeros((len(voters), len(index)), np.float32)
    for row, names in enumerate(voters):
        inputs[row, [index[name] for name in names if name in index]] = 1
    weights = np.zeros((len(index), allowed.shape[1]), np.float32)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    for step in range(1, STEPS + 1):
        chances = _softmax(inputs @ weights)
        wanted = chances * allowed + 1e-9 * allowed
        wanted /= wanted.sum(1, keepdims=True)
        gradient = inputs.T @ (chances - wanted) / len(voters) + decay * weights
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        weights -= 0.05 * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
    votes = {name: [int(vote) for vote in np.rint(100 * weights[place])] for name, place in index.items()}
    return {name: row for name, row in votes.items() if max(map(abs, row)) >= SMALL}


def agreement_examples(lines: Sequence[Line]) -> tuple[list[set[str]], np.ndarray]:
    """What votes on whether a line agrees, and whether it does; only lines of which that is known."""
    labeled = [line for line in lines if line.kind != "any" and line.voice != "script"]
    votes = [set(agreement.voters(*agreement_text(sentences_of(line.text), line.bid))) for line in labeled]
    return votes, np.array([["agree" in line.acts, "agree" not in line.acts] for line in labeled], np.float32)


def _softmax(sums: np.ndarray) -> np.ndarray:
    exponents = np.exp(sums - sums.max(1, keepdims=True))
    return np.asarray(exponents / exponents.sum(1, keepdims=True))


def write(votes: dict[str, list[int]], names: Sequence[str], path: Path) -> None:
    """Writes the votes; the first line names the roles and the tables they were learned from."""
    rows = [["voter", *names, tables_digest()], *([name, *map(str, row)] for name, row in votes.items())]
    write_text(path, "".join("\t".join(row) + "\n" for row in rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--without", default="", metavar="VOICES")
    parser.add_argument("--out", type=Path, default=ASSETS, metavar="FOLDER")
    given = parser.parse_args()
    left_out = KEPT_OUT | set(given.without)
    lines = [*(line for line in labeled_lines() if line.voice not in left_out), *grammar_lines(1_200)]
    votes = learn(*examples(lines), decay=0.0005, rare=3)
    write(votes, ROLES, given.out / "votes.tsv")
    agreeing = learn(*agreement_examples(lines), decay=0.0003, rare=2)
    write({name: [yes - no] for name, (yes, no) in agreeing.items()}, ["agrees"], given.out / "agreement.tsv")
    print(f"{len(votes)} and {len(agreeing)} voters learned from {len(lines)} lines")


if __name__ == "__main__":
    main()
