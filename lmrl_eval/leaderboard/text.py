"""How the leaderboard writes what others published: numbers, links and episodes, always as text that does no harm."""

from typing import NamedTuple
from urllib.parse import urlsplit

from lmrl_data.episode import Episode
from lmrl_data.text import one_line, printable
from lmrl_eval.leaderboard.collect import Entry
from lmrl_eval.score import Score

SIZES = (
    (10**7, "under 10M"),
    (10**8, "10M to 100M"),
    (10**9, "100M to 1B"),
    (10**10, "1B to 10B"),
    (float("inf"), "10B and more"),
)
NO_SIZE = "no size stated"
# What an episode may add to the page; the whole of it is where the entry's episodes were published.
MAX_TURNS, MAX_TEXT, MAX_EPISODE_TEXT = 60, 4_000, 20_000
PLOT = (-10.0, 110.0)  # normalised scores from edge to edge; what lies outside is drawn at the edge


# --- numbers, links and pictures


def number(value: float, digits: int = 0) -> str:
    """A number for people, with a true minus sign.

    Examples:
        >>> number(-1234.56, 1)
        '−1,234.6'
    """
    text = f"{value:,.{digits}f}" if abs(value) < 1e6 else f"{value:.2e}"
    return text.replace("-", "−")


def half_width(interval: tuple[float, float]) -> float:
    return (interval[1] - interval[0]) / 2


def plus_minus(mean: float, interval: tuple[float, float], digits: int) -> str:
    """The mean and half the width of its interval."""
    return f"{number(mean, digits)} ± {number(half_width(interval), digits)}"


def claim(score: Score) -> str:
    """What an entry that is not ranked states of itself."""
    if not score.n_episodes:
        return number(score.normalized, 1)
    count = "1 episode" if score.n_episodes == 1 else f"{number(score.n_episodes)} episodes"
    return f"{plus_minus(score.normalized, score.normalized_interval, 1)} over {count}"


def weights(entry: Entry) -> int | None:
    """The number of weights, if what is stated can be one."""
    stated = entry.parameters
    return stated if type(stated) is int and 0 < stated < 10**15 else None


def size(parameters: int | None) -> str:
    """A number of weights for people.

    Examples:
        >>> size(124_439_808)
        '124M'
    """
    if parameters is None:
        return ""
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if parameters >= unit:
            digits = 1 if parameters < 10 * unit else 0
            return f"{parameters / unit:,.{digits}f}{name}"
    return str(parameters)


def bucket(parameters: int | None) -> str:
    return NO_SIZE if parameters is None else next(name for limit, name in SIZES if parameters < limit)


def seeds(score: Score) -> str:
    """The first episode's seed and the policy's."""
    return one_line(str(score.seed) if score.policy_seed is None else f"{score.seed} / {score.policy_seed}", 40)


def link(url: str | None) -> str | None:
    """`url` if it is one of the Hub's own pages; nothing else becomes a link."""
    import huggingface_hub.constants

    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    home = urlsplit(huggingface_hub.constants.ENDPOINT).netloc
    # Compared whole: no port, user name or look-alike may be added.
    return url if parts.scheme in ("http", "https") and parts.netloc == home and one_line(url, 500) == url else None


class Plot(NamedTuple):
    """A score on the scale of 0, 50 and 100, as coordinates in a picture 120 wide."""

    low: str
    width: str
    at: str
    outside: int  # -1 or 1 if the score is left or right of the picture


def plot(score: Score) -> Plot:
    def place(value: float) -> float:
        return min(max(value, PLOT[0]), PLOT[1]) - PLOT[0]

    low, high = (place(value) for value in score.normalized_interval)
    outside = (score.normalized > PLOT[1]) - (score.normalized < PLOT[0])
    return Plot(f"{low:.1f}", f"{max(high - low, 0.0):.1f}", f"{place(score.normalized):.1f}", outside)


# --- episodes to look at


class Line(NamedTuple):
    """One turn as it is shown."""

    role: str
    text: str
    reward: str  # empty where none can be
    total: str
    at: tuple[str, str]  # of the return so far, in a picture of 300 by 40


class Sample(NamedTuple):
    """One episode as it is shown."""

    seed: str
    success: bool
    truncated: bool
    total: str
    actions: int
    lines: list[Line]
    left_out: int  # turns that are not shown


def sample(episode: Episode) -> Sample:
    rewards = [_reward(turn.reward) for turn in episode.turns]
    totals = [sum(rewards[: index + 1]) for index in range(len(rewards))]
    lowest, highest = min(0.0, *totals), max(0.0, *totals)
    lines: list[Line] = []
    length = 0
    for index, turn in enumerate(episode.turns[:MAX_TURNS]):
        text = printable(str(turn.content), MAX_TEXT)
        length += len(text)
        if length > MAX_EPISODE_TEXT:
            break
        height = (totals[index] - lowest) / ((highest - lowest) or 1.0)
        at = f"{5 + 290 * index / max(len(totals) - 1, 1):.1f}", f"{35 - 30 * height:.1f}"
        reward = _short(rewards[index]) if turn.role == "assistant" else ""
        lines.append(Line(turn.role, text, reward, _short(totals[index]), at))
    return Sample(
        seed=one_line(str(episode.seed), 24),
        success=episode.info.get("success") is True,
        truncated=episode.truncated,
        total=_short(totals[-1]),
        actions=episode.num_turns,
        lines=lines,
        left_out=len(episode.turns) - len(lines),
    )


def _reward(value: object) -> float:
    """A reward as published; what is no finite number counts as none, and the entry is flagged for it."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else 0.0


def _short(value: float) -> str:
    return number(value) if value == round(value) else number(value, 2)
