"""Questions and lines by somebody who had not seen what the simulators read: how much of it they still understand.

The files are those of the cards' figures. The bounds are a little below what was measured when they were scored first.
"""

import csv

from cases import DATA

from lmrl_data import get_task
from lmrl_data.tasks.car_dealer.reading.line import read
from lmrl_recipes.clues import labeled_lines


def rows(task: str) -> list[dict[str, str]]:
    with (DATA / task / "held_out.tsv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def share(hits: list[bool]) -> float:
    return sum(hits) / len(hits)


def test_twenty_questions_answers_most_fresh_questions_rightly() -> None:
    simulator = get_task("twenty_questions").simulator(config="standard")
    asked = [row for row in rows("twenty_questions") if row["gold"] != "out"]
    assert len(asked) >= 300
    right = {"yes": [], "no": []}  # type: dict[str, list[bool]]
    for row in asked:
        simulator.reset(seed=0, options={"object": row["object"]})
        reply = simulator.step(row["question"])[0]
        right[row["gold"]].append(reply == ("Yes." if row["gold"] == "yes" else "No."))
    # What is not understood is answered by neither, so it counts as wrong on both sides.
    assert share(right["yes"]) > 0.85
    assert share(right["no"]) > 0.92
    assert share(right["yes"] + right["no"]) > 0.89


def test_guess_my_city_knows_what_most_fresh_questions_are_about() -> None:
    simulator = get_task("guess_my_city").simulator(config="standard")
    asked = [row for row in rows("guess_my_city") if row["topic"] not in ("guess", "none")]
    assert len(asked) >= 200
    hits = []
    for row in asked:
        simulator.reset(seed=0, options={"city": "Nagoya"})
        hits.append(simulator.step(row["question"])[4]["intent"] in row["topic"].split("|"))
    assert share(hits) > 0.9


def test_car_dealer_reads_nearly_all_fresh_prices_and_takes_hardly_anything_else_for_one() -> None:
    lines = [line for line in labeled_lines() if line.voice == "Q"]
    assert len(lines) >= 200
    assert share([read(line.text).price == line.price for line in lines if line.price]) >= 0.94
    assert share([read(line.text).price is not None for line in lines if not line.price]) <= 0.08


def test_no_attack_on_the_buyer_gets_more_than_it_would_pay() -> None:
    simulator = get_task("car_dealer").simulator(config="revenue")
    attacks = (DATA / "car_dealer" / "attacks.txt").read_text("utf-8").splitlines()
    assert len(attacks) >= 60
    for number, text in enumerate(attacks):
        _, buyer = simulator.reset(seed=number)
        over = False
        while not over:
            _, reward, terminated, truncated, info = simulator.step(text.replace("\\n", "\n"))
            over = terminated or truncated
        assert reward <= buyer["buyer"]["reservation"] / 1000, text
        assert info["success"] is (info["outcome"]["decision"] == "accept"), text
