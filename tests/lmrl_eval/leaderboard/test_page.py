"""The leaderboard page: nothing an entry says is more than text, and ranks follow their rule."""

import dataclasses
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import yaml
from cases import check_cases

from lmrl_data import UserError
from lmrl_data.episode import Episode, Turn
from lmrl_eval.leaderboard.entry import Entry, game, tables
from lmrl_eval.leaderboard.page import leaderboard_figure, leaderboard_markdown, page_files, write_leaderboard
from lmrl_eval.leaderboard.text import MAX_EPISODE_TEXT, bucket, lines, link, number, plot, size
from lmrl_eval.score import Score

HOSTILE = "<script>alert(1)</script>"
BASE = Score(
    task="maze", task_version="1.0.0", config="fully_observed", policy="me", n_episodes=800, mean_return=-80.0,
    interval=(-81.0, -79.0), confidence_level=0.95, normalized=50.0, normalized_interval=(48.0, 52.0),
    normalized_to_optimum=50.0, success_rate=0.5, mean_turns=20.0, invalid_rate=0.0, seed=2_000_000, n_resamples=9999,
)  # fmt: skip


def entry(model: str, low: float = 48.0, high: float = 52.0, status: Any = "verified", **values: Any) -> Entry:
    """An entry whose score is in the middle of its interval."""
    score = {name: values.pop(name) for name in list(values) if name in {f.name for f in dataclasses.fields(Score)}}
    changed = {"normalized": (low + high) / 2, "normalized_interval": (low, high)} | score
    return Entry(model, dataclasses.replace(BASE, **changed), status, **values)


def episode(*texts: str, rewards: float = -1.0) -> Episode:
    turns = [Turn("assistant", t, rewards) if i % 2 else Turn("user", t) for i, t in enumerate(texts)]
    return Episode("maze", "fully_observed", tuple(turns), True, False, 7, "me", {"success": True, "invalid": 0})


def page(*entries: Entry, name: str = "index.html") -> str:
    return page_files(entries, command="lmrl-eval leaderboard")[name]


class Tags(HTMLParser):
    """All tags with their attributes, as a browser would see them, and all text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


# --- ranks and tables


def test_entries_that_the_episodes_cannot_tell_apart_share_a_rank() -> None:
    entries = [entry("third", 10, 20), entry("first", 70, 90), entry("also first", 60, 85), entry("second", 50, 75)]
    assert [(each.rank, each.model) for (table,) in [tables(entries)] for each in table] == [
        (1, "first"), (1, "also first"), (2, "second"), (4, "third")
    ]  # fmt: skip


def test_a_wide_interval_earns_no_better_rank() -> None:
    few = entry("few episodes", 0, 100)
    assert [(each.rank, each.model) for (table,) in [tables([few, entry("many", 68, 72)])] for each in table] == [
        (1, "many"), (2, "few episodes")
    ]  # fmt: skip


def test_scores_of_different_games_never_share_a_table() -> None:
    oracle = {"spec": "lm:somebody/oracle", "weights_sha256": "abcdef0123"}
    others: list[dict[str, Any]] = [
        {}, {"task": "wordle"}, {"config": "partially_observed"}, {"task_version": "1.10.0"}, {"oracle": oracle},
        {"oracle": oracle | {"weights_sha256": "0123abcdef"}}, {"options": {"max_turns": 3}}, {"protocol": "quick"},
    ]  # fmt: skip
    made = tables([entry(f"m{index}", **other) for index, other in enumerate(others)])
    assert [len(table) for table in made] == [1] * len(others)
    assert game(made[-1][0].score)[0] == "wordle"
    assert game(made[0][0].score)[2] == "1.10.0"


def test_nobody_is_outranked_by_fewer_or_chosen_seeds_or_a_narrower_kind_of_interval() -> None:
    def check(change: dict[str, Any], said: str) -> None:
        entries = [entry("honest", 48, 52), entry("lucky", 99, 99, **change)]
        ranks = [[(each.rank, each.model) for each in table] for table in tables(entries)]
        assert ranks == [[(1, "honest")], [(1, "lucky")]]
        assert said in Tags(page(*entries)).text
        assert said in leaderboard_markdown(entries).replace("\\", "")

    cases: list[tuple[dict[str, Any], str]] = [
        ({"n_episodes": 2}, "2 episodes, not 800"),
        ({"seed": 0}, "seeds from 0, not from 2000000"),
        ({"confidence_level": 0.01}, "interval of 1% from 9999 resamples"),
        ({"n_resamples": 1}, "interval of 95% from 1 resamples"),
        ({"options": {"start": ["x" * 70, 1]}}, "start="),
    ]
    check_cases(cases, check)


def test_options_that_differ_late_are_different_games() -> None:
    options = [{"start": ["x" * 200, number]} for number in range(2)]
    assert len(tables([entry("m", options=each) for each in options])) == 2


def test_oracles_whose_names_differ_late_are_different_games() -> None:
    entries = [entry("m", status="oracle", oracle={"spec": "chat:" + "x" * 200 + end}) for end in "ab"]
    assert len(tables(entries)) == 2
    assert "x" * 100 not in leaderboard_markdown(entries)


def test_an_oracle_without_a_name_is_an_oracle() -> None:
    for name in ("", " ", "\u200b"):
        oracle = entry("coaxed", 99, 99, "oracle", oracle={"spec": name})
        assert [[each.rank for each in table] for table in tables([entry("honest"), oracle])] == [[1], [1]]


@pytest.mark.parametrize("status", ["flagged", "unchecked"])
def test_what_is_not_verified_is_listed_below_with_the_reason(status: Any) -> None:
    best = entry("forged", 90, 99, status, problems=["turn 3 pays −1, not 0"])
    text = Tags(page(best, entry("honest"))).text
    assert text.index("honest") < text.index("Not ranked") < text.index("forged") < text.index("turn 3 pays −1")
    unseen = entry("unseen", 70, 70, "unchecked", n_episodes=0)
    markdown = leaderboard_markdown([best, entry("honest"), unseen])
    assert "* unseen, which states 70.0: not checked: no reason given" in markdown
    assert "| 1 | honest |" in markdown
    assert re.search(r"^\* forged, which states 94\.5 ± 4\.5 over 800 episodes: .*turn 3 pays", markdown, re.M)


def test_same_entries_in_any_order_make_the_same_texts() -> None:
    entries = [entry("a", episodes=[episode("x", "y")]), entry("a", seed=3), entry("b"), entry("c", task="zzz")]
    assert page_files(entries, command="c") == page_files(entries[::-1], command="c")


def test_every_episode_has_an_address_of_its_own_that_other_entries_do_not_change() -> None:
    mine = entry("mine", episodes=[episode("x", "y")])
    twins = [mine, mine, entry("other", episodes=[episode("x", "y")])]
    addresses = re.findall(r'id="(show=[^"]+)"', page(*twins))
    assert len(addresses) == len(set(addresses)) == 3
    assert re.findall(r'id="(show=[^"]+)"', page(mine))[0] in addresses


# --- what others wrote stays text


def test_text_of_others_is_never_markup() -> None:
    said = '</div></script><img src=x onerror=alert(1)>{{ 7*7 }} " onload="x'
    hostile = entry(
        HOSTILE,
        algorithm=f'"><b>{HOSTILE}',
        problems=[HOSTILE],
        policy=HOSTILE,
        config=HOSTILE,
        task=HOSTILE,
        task_version=HOSTILE,
        protocol=HOSTILE,
        options={HOSTILE: [HOSTILE]},
        oracle={"spec": HOSTILE},
        model_url="javascript:alert(1)",
        episodes=[episode(said, said)],
    )
    parsed = Tags(page(hostile, dataclasses.replace(hostile, status="flagged"), entry("plain")))
    assert [attributes for tag, attributes in parsed.tags if tag == "script"] == [
        {"src": "leaderboard.js", "defer": None}
    ]
    assert not [tag for tag, _ in parsed.tags if tag in ("img", "iframe", "style")]
    assert not [name for _, attributes in parsed.tags for name in attributes if name.startswith("on")]
    assert said in parsed.text
    assert HOSTILE in parsed.text
    assert "<script" not in leaderboard_markdown([hostile])


def test_no_text_turns_the_writing_round_or_is_longer_than_the_page_can_bear() -> None:
    bidi = "a\u202egnp.exe\u2066\x1b[2J\u200f"
    long = episode(*["word " * 2_000, "x"] * 100)
    text = page(entry(bidi, algorithm=bidi, problems=[bidi], episodes=[episode(bidi, bidi), long] * 3))
    assert not set(text) & set("\u202e\u2066\u200f\x1b")
    assert "\\u202e" in text
    shown = lines(long)
    assert sum(len(line.text) for line in shown) <= MAX_EPISODE_TEXT
    assert f"{200 - len(shown)} more turns not shown" in text
    assert text.count("<article") == 3


def test_only_pages_of_the_hub_become_links(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "https://hub.example")

    def check(url: str | None, kept: bool) -> None:
        assert link(url) == (url if kept else None)

    cases: list[tuple[str | None, bool]] = [
        ("https://hub.example/org/model", True),
        ("http://hub.example/org/model", True),
        ("javascript:alert(1)//hub.example/", False),
        ("https://evil.example/hub.example/", False),
        ("https://hub.example.evil.example/x", False),
        ("https://hub.example@evil.example/x", False),
        ("https://user@hub.example/x", False),
        ("https://hub.example\\@evil.example/x", False),
        ("https://hub.example:444/x", False),
        ("//hub.example/x", False),
        ("java\nscript:alert(1)", False),
        ("https://hub.example/\u202ex", False),
        ("https://[::1", False),
        (None, False),
    ]
    check_cases(cases, check)


def test_the_page_loads_nothing_and_runs_nothing_that_is_not_beside_it() -> None:
    parsed = Tags(page(entry("org/model", episodes=[episode("x", "y")])))
    loaded = {
        v for _, a in parsed.tags for k, v in a.items() if k in ("src", "href") and not (v or "").startswith("#")
    }
    assert {address for address in loaded if not str(address).startswith("data:image/svg+xml,")} == {
        "style.css", "leaderboard.js"
    }  # fmt: skip
    assert not [a for _, a in parsed.tags if "style" in a]
    policy = next(a["content"] for _, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "url(" not in page(name="style.css")


def test_values_no_honest_score_has_break_nothing() -> None:
    odd = [
        entry("huge", 1e300, 1.7e308, mean_return=-1e308, interval=(-1e308, 1e308), n_episodes=10**300),
        entry("odd", options={"y": ["x"]}, parameters=10**400),
        entry("no reward", episodes=[dataclasses.replace(episode("x", "y", rewards=float("nan")), info={})]),
        entry("", task="", config="", task_version="", parameters=-5, algorithm=""),
    ]
    text = page(*odd)
    assert not re.search(r"\bnan\b", text)
    assert leaderboard_markdown(odd).count("| 1 |") == 4
    leaderboard_figure(odd).canvas.draw()


# --- what it says


def test_numbers_are_written_for_people() -> None:
    assert number(-0.5, 1) == "−0.5"
    assert number(2e9) == "2.00e+09"
    assert [size(n) for n in (None, 900, 1_100_000, 124_439_808, 1_235_814_400, 70_000_000_000)] == [
        "", "900", "1.1M", "124M", "1.2B", "70B"
    ]  # fmt: skip
    assert [bucket(n) for n in (None, 10**6, 124_439_808, 10**9, 10**12)] == [
        "no size stated", "under 10M", "100M to 1B", "1B to 10B", "10B and more"
    ]  # fmt: skip


def test_a_score_outside_the_scale_is_drawn_as_an_arrow_at_the_edge() -> None:
    assert plot(entry("inside", 40, 60).score) == ("50.0", "20.0", "60.0", 0)
    assert plot(entry("above", 105, 300).score) == ("115.0", "5.0", "120.0", 1)
    assert plot(entry("below", -300, -200).score)[3] == -1


def test_an_empty_leaderboard_says_how_to_get_on_it() -> None:
    text = Tags(page()).text
    assert "There are no scores yet" in text
    assert "lmrl-eval push" in text
    assert leaderboard_markdown([]) == "There are no scores yet.\n"
    with pytest.raises(UserError, match="no ranked score"):
        leaderboard_figure([entry("forged", status="flagged")])


def test_the_card_of_the_space_says_that_it_is_static() -> None:
    _, head, text = page(name="README.md").split("---\n", 2)
    assert yaml.safe_load(head) | {"sdk": "static", "title": "LMRL-Gym leaderboard"} == yaml.safe_load(head)
    assert "    lmrl-eval leaderboard\n" in text


def test_headings_follow_one_another_without_a_gap() -> None:
    text = page(entry("a", episodes=[episode("x", "y")]), entry("b", status="flagged"), entry("c", task="t"))
    levels = [int(level) for level in re.findall(r"<h([1-6])", text[: text.index("<dialog")])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_the_figure_has_a_panel_for_each_table_and_shows_names_as_they_are() -> None:
    figure = leaderboard_figure(
        [entry("$\\frac{1}{0$", 40, 60), entry("b", task="wordle", n_episodes=4096), entry("c", oracle={"spec": "o"})]
    )
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "maze, fully_observed, 1.0.0", "maze, fully_observed, 1.0.0, o", "wordle, fully_observed, 1.0.0"
    ]  # fmt: skip
    assert figure.axes[0].get_yticklabels()[0].get_text() == "$\\frac{1}{0$  1"
    figure.canvas.draw()


def test_a_score_beyond_the_figures_edge_is_an_arrow() -> None:
    (axes,) = leaderboard_figure([entry("a", 300, 310), entry("b", 40, 60), entry("c", -900, -800)]).axes
    assert [lines.lines[0].get_marker() for lines in axes.containers] == [">", "o", "<"]


def test_a_folder_that_cannot_be_written_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the leaderboard"):
        write_leaderboard([], tmp_path / "file", command="c")
