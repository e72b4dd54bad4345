"""What is known of the cities of Guess My City: complete, unambiguous, consistent, and giving nothing away."""

import json
import re
import unicodedata
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

from cases import check_cases, read_cases

import lmrl_data

FILE = Path(lmrl_data.__file__).parent / "tasks" / "guess_my_city" / "assets" / "cities.json"
Row = dict[str, Any]

# The file's keys, in order, and the type of each.
KEYS = {
    **dict.fromkeys(["name"], str),
    "original": str | None,
    "aliases": list,
    "country": str,
    **dict.fromkeys(["country_aliases", "demonyms", "giveaways"], list),
    "extended": bool,
    **dict.fromkeys(["rank", "population"], int),
    **dict.fromkeys(["lat", "lon", "coast_km"], float | int),
    "elevation_m": int,
    **dict.fromkeys(["koppen", "hemisphere"], str),
    "tropics": bool,
    **dict.fromkeys(["continent", "region"], str),
    "is_capital": bool,
    "provincial_capital": bool | None,
    **dict.fromkeys(["neighbours", "languages"], list),
    "currency": str,
    "utc_offset": float | int,
    "driving_side": str,
    "airport": str | None,
    "climate": str,
    **dict.fromkeys(["hot_summers", "cold_winters", "snow", "rainy_season"], bool),
    **dict.fromkeys(["religion", "government"], str),
    "independence": str | None,
    "flag_colours": list,
    "coast_name": str | None,
    "terrain": list,
    "river": str | None,
    **dict.fromkeys(["landmarks", "food", "history", "economy", "exports", "agriculture", "sport"], list),
    **dict.fromkeys(["transport", "known_for", "culture"], list),
    "holiday": str | None,
}
PHRASES = [
    "climate", "religion", "government", "independence", "flag_colours", "coast_name", "terrain", "river", "landmarks",
    "food", "history", "economy", "exports", "agriculture", "sport", "transport", "known_for", "culture", "holiday",
    "languages", "currency",
]  # fmt: skip
# The paper's list, in its spelling and order.
ORIGINALS = """
Seoul, Sao Paulo, Bombay, Jakarta, Karachi, Moscow, Istanbul, Mexico City, Shanghai, Tokyo, New York, Bangkok, Beijing,
Delhi, London, Hong Kong, Cairo, Tehran, Bogota, Bandung, Tianjin, Lima, Rio de Janeiro, Lahore, Bogor, Santiago,
St Petersburg, Shenyang, Calcutta, Wuhan, Sydney, Guangzhou, Singapore, Madras, Baghdad, Pusan, Los Angeles, Yokohama,
Dhaka, Berlin, Alexandria, Bangalore, Malang, Hyderabad, Chongqing, Ho Chi Minh City, Haerbin, Ankara, Buenos Aires,
Chengdu, Ahmedabad, Casablanca, Chicago, Xian, Madrid, Surabaya, Pyong Yang, Nanjing, Kinshaha, Rome, Taipei, Osaka,
Kiev, Yangon, Toronto, Zibo, Dalian, Taega, Addis Ababa, Jinan, Salvador, Inchon, Semarang, Giza, Changchun, Havanna,
Nagoya, Belo Horizonte, Paris, Tashkent, Fortaleza, Sukabumi, Cali, Guayaquil, Qingdao, Izmir, Cirebon, Taiyuan,
Brasilia, Bucuresti, Faisalabad, Quezon City, Medan, Houston, Abidjan, Mashhad, Medellin, Kanpur, Budapest, Caracas
"""
# Words of names that give nothing away by themselves: "the new port" may be said of New York.
GENERAL = {"and", "city", "das", "den", "des", "new", "the", "town", "saint", "los", "las", "san", "santa", "port"}


@cache
def rows() -> list[Row]:
    return json.loads(FILE.read_text(encoding="ascii"))["cities"]


def paper() -> list[Row]:
    return [row for row in rows() if not row["extended"]]


@cache
def by_name() -> dict[str, Row]:
    return {row["name"]: row for row in rows()}


def fold(text: str) -> str:
    text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", text.replace("'", "")))


def phrases(row: Row, key: str) -> list[str]:
    value = row[key]
    return value if isinstance(value, list) else [value] if value else []


# --- format


def test_one_city_a_line_in_ascii_with_the_agreed_keys_in_order() -> None:
    lines = FILE.read_text(encoding="ascii").splitlines()
    assert [lines[0], lines[-1], len(lines)] == ['{"cities": [', "]}", 502]
    for row in rows():
        assert list(row) == list(KEYS), row["name"]


def test_values_have_their_key_s_type() -> None:
    check_cases(KEYS, check_values)


def check_values(key: str) -> None:
    for row in rows():
        assert isinstance(row[key], KEYS[key]), (row["name"], row[key])
        if KEYS[key] is not bool and KEYS[key] != bool | None:
            assert not isinstance(row[key], bool), row["name"]
        if KEYS[key] is list:
            assert all(isinstance(item, str) for item in row[key])
            assert len(set(row[key])) == len(row[key]), (row["name"], row[key])
        for text in phrases(row, key) if KEYS[key] in (list, str, str | None) else []:
            assert text, (row["name"], key)
            assert text == " ".join(text.split()), (row["name"], key, text)
            assert not text.endswith((".", "!", "?", ";", ",")) or key in ("aliases", "country_aliases"), text
            assert not re.search(r"[<>|{}\[\]\"\\]", text), text


def test_a_hundred_of_the_paper_and_four_hundred_more() -> None:
    assert [row["original"] for row in paper()] == " ".join(ORIGINALS.split()).split(", ")
    assert [row["rank"] for row in rows()] == list(range(1, 501))
    assert all(row["original"] is None for row in rows() if row["extended"])
    assert len(by_name()) == 500


def test_the_paper_s_spelling_is_a_name_or_an_alias() -> None:
    for row in paper():
        assert row["original"] in (row["name"], *row["aliases"])


def test_the_paper_s_cities_have_every_fact() -> None:
    for row in paper():
        for key in ("landmarks", "food", "culture", "known_for"):
            assert 2 <= len(row[key]) <= 12, (row["name"], key)
        for key in ("terrain", "history", "economy", "exports", "agriculture", "sport", "transport", "languages"):
            assert row[key], (row["name"], key)
        for key in ("climate", "religion", "government", "holiday", "currency", "region", "flag_colours"):
            assert row[key], (row["name"], key)
        assert row["aliases"] or row["name"] == row["original"]


def test_the_others_have_the_facts_of_their_country() -> None:
    for row in rows():
        for key in (
            "food",
            "sport",
            "exports",
            "culture",
            "holiday",
            "history",
            "religion",
            "flag_colours",
            "languages",
        ):
            assert row[key], (row["name"], key)


def test_no_country_has_more_than_a_dozen_cities_beyond_the_paper_s() -> None:
    countries = [row["country"] for row in rows() if row["extended"]]
    assert max(map(countries.count, countries)) <= 12
    assert len(set(countries)) >= 130


# --- names


def test_no_name_or_alias_names_two_cities() -> None:
    owner: dict[str, str] = {}
    for row in rows():
        for name in {fold(name) for name in (row["name"], *row["aliases"])}:
            assert name, row["name"]
            assert owner.setdefault(name, row["name"]) == row["name"], (name, owner[name], row["name"])


def test_no_alias_is_another_city_s_country() -> None:
    countries = {fold(name): row["country"] for row in rows() for name in (row["country"], *row["country_aliases"])}
    for row in rows():
        for name in (row["name"], *row["aliases"]):
            assert countries.get(fold(name), row["country"]) == row["country"], (row["name"], name)


def test_other_names_are_known() -> None:
    def check(alias: str, name: str) -> None:
        assert alias in by_name()[name]["aliases"]

    check_cases(read_cases("guess_my_city/aliases.tsv"), check)


# --- leaks


def tellers(row: Row, key: str) -> set[str]:
    """What must not be said in a fact of this key, folded."""
    names = [row["name"], row["original"] or "", *row["aliases"], row["country"], *row["country_aliases"]]
    names += row["giveaways"]
    names += [] if key in ("languages", "currency") else row["demonyms"]
    parts = {part for name in (row["name"], row["original"] or "") for part in fold(name).split() if len(part) > 2}
    return ({fold(name) for name in names} | parts - GENERAL) - {""}


def test_no_phrase_tells_the_city_or_its_country() -> None:
    check_cases(PHRASES, check_phrases)


def check_phrases(key: str) -> None:
    told = [
        (row["name"], text, name)
        for row in rows()
        for text in phrases(row, key)
        for name in tellers(row, key)
        if f" {name} " in f" {fold(text)} "
    ]
    assert not told


def test_only_neighbours_of_a_like_name_would_tell() -> None:
    """They are facts for yes/no questions; "North Korea" must not be said of Seoul."""
    told = {
        (row["country"], neighbour)
        for row in rows()
        for neighbour in row["neighbours"]
        for name in tellers(row, "neighbours")
        if f" {name} " in f" {fold(neighbour)} "
    }
    assert told <= {
        ("South Korea", "North Korea"), ("North Korea", "South Korea"), ("Sudan", "South Sudan"),
        ("South Sudan", "Sudan"), ("Republic of the Congo", "Democratic Republic of the Congo"),
        ("Democratic Republic of the Congo", "Republic of the Congo"), ("Guinea", "Guinea-Bissau"),
        ("Hong Kong", "China"), ("Macau", "China"), ("Nigeria", "Benin"), ("Italy", "Vatican City"),
    }  # fmt: skip


def test_giveaways_of_the_well_known_nicknames() -> None:
    assert "Carioca" in by_name()["Rio de Janeiro"]["giveaways"]
    assert "Big Apple" in by_name()["New York"]["giveaways"]


# --- agreement of facts


def test_numbers_are_in_range_and_agree() -> None:
    for row in rows():
        name = row["name"]
        assert -56 < row["lat"] < 71, name
        assert -180 < row["lon"] < 180, name
        assert row["hemisphere"] == ("northern" if row["lat"] >= 0 else "southern"), name
        assert row["tropics"] == (abs(row["lat"]) < 23.44), name
        assert 5_000 < row["population"] < 35_000_000, name
        assert 0 <= row["coast_km"] < 2_000, name
        assert -30 <= row["elevation_m"] < 4_200, name
        assert abs(row["utc_offset"] - row["lon"] / 15) < 3.6, name
        assert row["driving_side"] in ("left", "right")
        assert re.fullmatch(r"A[fmw]|B[WS][hk]|C[fsw][abc]|D[fsw][abcd]", row["koppen"]), (name, row["koppen"])
        assert row["airport"] is None or re.fullmatch("[A-Z]{3}", row["airport"]), name


def test_climate_facts_agree_with_the_class() -> None:
    for row in rows():
        assert not (row["koppen"][0] == "A" and (row["cold_winters"] or row["snow"])), row["name"]
        assert row["koppen"][0] != "D" or row["cold_winters"], row["name"]
        assert not (row["tropics"] and row["snow"]), row["name"]


def test_facts_of_a_country_are_the_same_in_all_its_cities() -> None:
    keys = ("currency", "driving_side", "religion", "government", "independence", "flag_colours", "neighbours")
    for first, second in combinations(rows(), 2):
        if first["country"] == second["country"]:
            for key in (*keys, "holiday"):
                assert first[key] == second[key], (first["name"], second["name"], key)


def test_neighbours_are_mutual() -> None:
    neighbours = {row["country"]: set(row["neighbours"]) for row in rows()}
    for country, others in neighbours.items():
        assert country not in others
        for other in others & set(neighbours):
            # Hong Kong and Macau border on what they are a part of.
            assert country in neighbours[other] or country in ("Hong Kong", "Macau"), (country, other)


def test_every_country_but_the_split_ones_has_one_capital() -> None:
    several = {"Bolivia": {"La Paz", "Sucre"}, "South Africa": {"Pretoria", "Cape Town", "Bloemfontein"}}
    capitals: dict[str, set[str]] = {}
    for row in rows():
        capitals.setdefault(row["country"], set()).update([row["name"]] if row["is_capital"] else [])
    for country, names in capitals.items():
        assert len(names) <= 1 or names == several[country], (country, names)
    # These lack theirs in the list, or have none that is undisputed.
    missing = {country for country, names in capitals.items() if not names}
    assert missing == {"Benin", "Burundi", "Hong Kong", "Israel", "Macau", "Puerto Rico"}


def test_capitals() -> None:
    def check(country: str, capital: str) -> None:
        assert [row["name"] for row in rows() if row["country"] == country and row["is_capital"]] == [capital]

    check_cases(read_cases("guess_my_city/capitals.tsv"), check)


def test_facts_checked_from_general_knowledge() -> None:
    def check(name: str, key: str, expected: str) -> None:
        value = by_name()[name][key]
        if isinstance(value, list):
            assert expected in value
        elif expected[0] in "<>":
            assert value < float(expected[1:]) if expected[0] == "<" else value > float(expected[1:])
        elif isinstance(value, int | float) and not isinstance(value, bool):
            assert abs(value - float(expected)) <= abs(float(expected)) / 10
        else:
            assert str(value) == expected

    check_cases(read_cases("guess_my_city/facts.tsv"), check)


# --- telling cities apart


def automatic(row: Row) -> tuple[Any, ...]:
    """What yes/no questions about country and place can find out of a city, in wide classes."""
    size = sum(row["population"] >= step for step in (250_000, 500_000, 10**6, 2 * 10**6, 5 * 10**6, 10**7))
    height = sum(row["elevation_m"] >= step for step in (100, 500, 1_000, 2_000))
    place = (row["country"], row["continent"], row["hemisphere"], row["tropics"], row["coast_km"] < 15)
    return (*place, size, height, row["is_capital"], row["koppen"][0], row["utc_offset"], row["driving_side"])


def all_facts(row: Row) -> tuple[Any, ...]:
    facts = ("languages", "coast_name", "river", "provincial_capital", "hot_summers", "cold_winters", "snow")
    lists = ("terrain", "landmarks", "food", "economy", "sport", "known_for", "culture", "rainy_season")
    return (*automatic(row), *(str(row[key]) for key in facts + lists))


def test_every_two_of_the_paper_s_cities_differ_in_what_can_be_asked() -> None:
    def asked(row: Row) -> tuple[Any, ...]:
        facts = (
            "languages",
            "coast_name",
            "provincial_capital",
            "hot_summers",
            "cold_winters",
            "snow",
            "rainy_season",
        )
        return (*automatic(row), row["population"] // 10**6, row["koppen"], *(str(row[key]) for key in facts))

    alike = [(a["name"], b["name"]) for a, b in combinations(paper(), 2) if asked(a) == asked(b)]
    assert not alike


def test_most_cities_differ_in_place_and_country_and_nearly_all_in_some_fact() -> None:
    seen = [automatic(row) for row in rows()]
    told_apart = sum(seen.count(facts) == 1 for facts in seen)
    every = [all_facts(row) for row in rows()]
    print(f"of 500, {told_apart} by place and country, {sum(every.count(facts) == 1 for facts in every)} by all facts")
    assert told_apart >= 400
    assert sum(every.count(facts) == 1 for facts in every) >= 490
