"""The leaderboard page in a browser: it fits, it can be read, used by keyboard alone, and runs nothing of others."""

import dataclasses
import re
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import huggingface_hub.constants
import pytest
from cases import check_cases, release
from toy_dialogue import Scripted

from lmrl_data import get_task
from lmrl_data.episode import Episode, Turn
from lmrl_eval import Evaluator, Results
from lmrl_eval.leaderboard.entry import Entry
from lmrl_eval.leaderboard.page import page_files

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)</script>"


class Oracle(Scripted):
    def describe(self) -> dict[str, Any]:
        return {"spec": "lm:lmrl/twenty_questions-oracle", "weights_sha256": "9f3c2ab1d4"}


def play(task_id: str, policy: str, n_episodes: int, oracle: Oracle | None = None) -> Results:
    task = get_task(task_id)
    player = task.policy(policy, task.default_config)
    return Evaluator().compute(player, task, n_episodes=n_episodes, oracle=oracle, policy_seed=0)


def real_entries() -> list[Entry]:
    """Entries of scripted policies under other names, one of them forged, one with an oracle, one hostile."""

    def publish(model: str, results: Results, status: Any = "verified", **values: Any) -> Entry:
        urls = {"model_url": f"{huggingface_hub.constants.ENDPOINT}/{model}", "episodes": results.episodes[:2]}
        return Entry(model, results.score, status, **(urls | values))

    maze = play("maze", "random", 50)
    forged = dataclasses.replace(maze.score, normalized=97.3, normalized_interval=(96.1, 98.4))
    oracle = Oracle(lambda view, attempt: "No.")
    said = f"{HOSTILE}</script><img src=x onerror=alert(1)>\u202e" + "long" * 200
    turns = (Turn("user", said), Turn("assistant", said, -1.0))
    hostile = Episode("maze", "fully_observed", turns, True, False, 7, said, {"success": True, "invalid": 0})
    return [
        publish("lmrl/maze-ilql-gpt2", play("maze", "optimal", 50), algorithm="ilql", parameters=124_439_808),
        publish(f"someone/{'maze-bc-' * 9}1b", maze, algorithm="bc", parameters=1_235_814_400),
        publish(
            "mallory/best", Results(forged, maze.episodes), "flagged", algorithm="ppo", problems=["turn 4 pays −1"]
        ),
        publish("a/hostile", maze, "unchecked", problems=[HOSTILE * 9], episodes=[hostile]),
        publish(HOSTILE, play("wordle", "random", 16), algorithm="bc", parameters=82_000_000),
        publish("lmrl/wordle-ilql", play("wordle", "consistent", 16), algorithm="ilql", parameters=354_823_168),
        publish("lmrl/text-nav-mc", play("text_nav", "optimal", 16), algorithm="mc", parameters=124_439_808),
        publish("lmrl/car-dealer-ppo", play("car_dealer", "reader", 16), algorithm="ppo", parameters=124_439_808),
        publish("lmrl/twenty-mc", play("twenty_questions", "expert", 8, oracle), "oracle", algorithm="mc"),
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    for name, text in page_files(real_entries(), command="lmrl-eval leaderboard --namespace lmrl").items():
        (folder / name).write_text(text, encoding="utf-8")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/index.html"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield running
        running.close()


SIZES = {"phone": {"width": 360, "height": 740}, "desk": {"width": 1440, "height": 900}}
CONTROLS = 'a[href], button, select, summary, [tabindex="0"]'
# The contrast of every text with what lies behind it, by WCAG's formula; all colours of the page are opaque.
CONTRASTS = """() => {
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => { const [r, g, b] = numbers(colour).map(channel); return 0.2126*r + 0.7152*g + 0.0722*b; };
  const solid = (colour) => { const [, , , alpha = 1] = numbers(colour); return alpha > 0; };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if (solid(colour)) return colour;
    }
  };
  const found = [];
  for (const e of document.querySelectorAll("body *")) {
    if (!e.checkVisibility() || ![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())) continue;
    const style = getComputedStyle(e);
    const [a, b] = [light(e.closest("svg") ? style.fill : style.color), light(behind(e))].sort((x, y) => x - y);
    found.push([(b + 0.05) / (a + 0.05), e.className + ": " + e.textContent.slice(0, 30)]);
  }
  return found;
}"""


@pytest.fixture
def visit(browser: Any, site: str) -> Iterator[Any]:
    """Opens the page as a visitor; at the end nothing may have failed, run or been asked of another host."""
    faults: list[str] = []
    pages: list[Any] = []

    def open_page(where: str = "", screen: str = "desk", **settings: Any) -> Any:
        context = browser.new_context(viewport=SIZES[screen], **settings)
        opened = context.new_page()
        pages.append(opened)
        opened.on("console", lambda message: faults.append(f"console: {message.text}"))
        opened.on("pageerror", lambda error: faults.append(f"error: {error}"))
        opened.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        opened.on(
            "request",
            lambda request: faults.append(request.url) if urlsplit(request.url).netloc != urlsplit(site).netloc else 0,
        )
        opened.goto(site + where)
        return opened

    yield open_page
    for opened in pages:
        opened.context.close()
    assert [fault for fault in faults if not fault.startswith("data:")] == []


def models(opened: Any) -> list[str]:
    return opened.eval_on_selector_all(
        "tbody .model, .unranked .model", "all => all.filter((e) => e.checkVisibility()).map((e) => e.textContent)"
    )


@pytest.mark.parametrize(
    ("screen", "scheme"),
    [
        ("phone", "dark"),
        *(release(*each) for each in [("phone", "light"), ("desk", "light"), ("desk", "dark")]),
    ],
)
def test_the_page_fits_its_screen_and_can_be_read(visit: Any, screen: str, scheme: str) -> None:
    opened = visit(screen=screen, color_scheme=scheme)
    width = SIZES[screen]["width"]
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    hidden = "all => Math.max(...all.map((e) => e.scrollWidth - e.clientWidth))"
    assert opened.eval_on_selector_all(".scroll, .card", hidden) <= 0
    for text in ("td.rank span", ".model", "td.normalized", "td.status .badge"):
        # Nothing lies on top of it.
        opened.locator(text).first.click(trial=True)
    contrasts = opened.evaluate(CONTRASTS)
    opened.locator("a.watch").first.press("Enter")
    contrasts += opened.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert min(contrasts)[0] >= 4.5, min(contrasts)
    assert opened.evaluate("document.documentElement.scrollWidth") == width


def test_no_column_is_cut_on_a_screen_of_any_width(visit: Any) -> None:
    opened = visit()
    hidden = "all => Math.max(...all.map((e) => e.scrollWidth - e.clientWidth))"

    def check(width: int) -> None:
        opened.set_viewport_size({"width": width, "height": 900})
        assert opened.evaluate("document.documentElement.scrollWidth") == width
        assert opened.eval_on_selector_all(".scroll, .card, thead th, td", hidden) <= 0
        assert opened.locator("td.status").last.bounding_box()["width"] > 60

    check_cases([991, 992, 1024, 1153, 1280, 1409], check)


@pytest.mark.release
def test_without_javascript_everything_is_there(visit: Any) -> None:
    opened = visit(java_script_enabled=False)
    assert opened.locator("table").count() == 5
    assert opened.get_by_role("row").filter(has_text="lmrl/wordle-ilql").is_visible()
    assert not opened.locator("#filters").is_visible()
    opened.get_by_role("link", name="Watch 2 episodes of lmrl/wordle-ilql").click()
    assert opened.locator("details[open] .turn.assistant").first.is_visible()


@pytest.mark.release
def test_filters_hide_what_is_not_asked_for_and_can_be_shared(visit: Any) -> None:
    opened = visit()
    everything = models(opened)
    assert len(everything) == 9
    opened.select_option("select[name=algorithm]", "ilql")
    assert models(opened) == ["lmrl/maze-ilql-gpt2", "lmrl/wordle-ilql"]
    opened.select_option("select[name=task]", "wordle")
    assert models(opened) == ["lmrl/wordle-ilql"]
    assert opened.locator("#count").inner_text() == "1 of 9 scores"
    assert opened.locator("h2:visible").all_inner_texts() == ["Wordle", "How to read this"]
    shared = opened.evaluate("location.hash")
    assert models(visit(shared, "phone")) == ["lmrl/wordle-ilql"]
    opened.select_option("select[name=size]", "1B to 10B")
    assert models(opened) == []
    assert opened.locator("#nothing").is_visible()
    opened.click("button[type=reset]")
    assert models(opened) == everything
    assert opened.evaluate("location.hash") == ""
    assert models(visit("#algorithm=%3Cb%3E&task=nothing&sort=evil&show=evil")) == everything


@pytest.mark.release
def test_a_click_on_a_column_sorts_by_it(visit: Any) -> None:
    opened = visit()
    header = opened.locator('[data-task="maze"] th[data-key="size"]')
    sizes = ["1.2B", "124M"]

    def column() -> list[str]:
        return opened.locator('[data-task="maze"] td[data-key="size"]').all_inner_texts()

    assert column() == sizes[::-1]
    for direction, expected in (("descending", sizes), ("ascending", sizes[::-1])):
        header.get_by_role("button").click()
        assert header.get_attribute("aria-sort") == direction
        assert column() == expected
    assert opened.locator('[data-task="maze"] [aria-sort]').count() == 1
    on_phone = visit("#sort=-size", "phone")
    assert on_phone.locator("select[name=sort]").input_value() == "-size"
    assert on_phone.locator('[data-task="maze"] .model').first.inner_text().startswith("someone/")


@pytest.mark.release
@pytest.mark.parametrize("screen", list(SIZES))
def test_tab_reaches_every_control_in_the_order_of_the_page(visit: Any, screen: str) -> None:
    opened = visit(screen=screen)
    expected = opened.eval_on_selector_all(
        CONTROLS,
        "all => { window.order = all.filter((e) => e.checkVisibility()); return order.map((_, index) => index); }",
    )
    reached = []
    for _ in expected:
        opened.keyboard.press("Tab")
        reached.append(opened.evaluate("order.indexOf(document.activeElement)"))
        assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached == expected


def test_the_viewer_steps_through_an_episode_by_keyboard_alone(visit: Any) -> None:
    opened = visit()
    link = opened.locator('[data-task="maze"] a.watch').first
    link.press("Enter")
    turns = opened.locator("#viewer-body .turn:visible")
    position = opened.locator("#viewer-position")
    assert turns.count() == 1
    for _ in range(3):
        opened.keyboard.press("ArrowRight")
    assert turns.count() == 4
    assert re.fullmatch(r"Turn 4 of \d+: reward −1, return −2", position.inner_text())
    opened.keyboard.press("ArrowLeft")
    assert turns.count() == 3
    assert re.fullmatch(r"Turn 3 of \d+: return −1", position.inner_text())
    shared = visit(opened.evaluate("location.hash"))
    assert shared.locator("#viewer-body .turn:visible").count() == 3
    shared.keyboard.press("Escape")
    assert shared.locator('[data-task="maze"] a.watch').first.evaluate("e => e === document.activeElement")
    opened.keyboard.press("End")
    assert opened.locator("#viewer-next").get_attribute("aria-disabled") == "true"
    assert position.inner_text().endswith("return −11")
    opened.get_by_role("button", name="Episode 2").press("Enter")
    assert position.inner_text().startswith("Turn 1 of")
    opened.keyboard.press("Escape")
    assert not opened.locator("#viewer").is_visible()
    assert link.evaluate("e => e === document.activeElement")
    assert opened.evaluate("location.hash") == ""


@pytest.mark.release
def test_a_hostile_episode_is_shown_as_the_text_it_is(visit: Any) -> None:
    opened = visit(screen="phone")
    opened.get_by_role("link", name="Watch 1 episode of a/hostile").click()
    said = opened.locator("#viewer-body .said").first.inner_text()
    assert said.startswith(f"{HOSTILE}</script><img src=x onerror=alert(1)>\\u202elong")
    assert opened.evaluate("document.documentElement.scrollWidth") == 360
