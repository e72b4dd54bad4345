"""How the leaderboard shows numbers, links and episodes that others published: as text that cannot do harm."""

from itertools import accumulate
from typing import NamedTuple
from urllib.parse import urlsplit

from lmrl_data.episode import Episode
from lmrl_data.text import one_line, printable
from lmrl_eval.report import plus_minus
from lmrl_eval.score import Score

SIZES = (
    (10**7, "under 10M"),
    (10**8, "10M to 100M"),
    (10**9, "100M to 1B"),
    (10**10, "1B to 10B"),
    (float("inf"), "10B and more"),
)
NO_SIZE = "no size stated"
# What an episode may add to the page; the whole episode is where it was published.
MAX_TURNS, MAX_TEXT, MAX_EPISODE_TEXT = 60, 4_000, 20_000
PLOT = (-10.0, 110.0)  # normalized scores at the edges of the picture


# --- numbers, links and pictures


def number(value: float, digits: int = 0) -> str:
    """A number for people, with a true minus sign.

    Examples:
        >>> number(-1234.56, 1)
        '−1,234.6'
    """
    text = f"{value:,.{digits}f}" if abs(value) < 1e6 else f"{value:.2e}"
    return text.replace("-", "−")


def claim(score: Score) -> str:
    """What an entry that is not ranked states."""
    if not score.n_episodes:
        return number(score.normalized, 1)
    count = "1 episode" if score.n_episodes == 1 else f"{number(score.n_episodes)} episodes"
    return f"{spread(score.normalized, score.normalized_interval, 1)} over {count}"


def spread(mean: float, interval: tuple[float, float] | None, digits: int) -> str:
    """The mean and half the width of its interval, for people."""
    return plus_minus(mean, interval, digits, number)


def weights(stated: int | None) -> int | None:
    """A stated number of weights, if a model can have so many."""
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
    """The class of sizes that the page filters by."""
    return NO_SIZE if parameters is None else next(name for limit, name in SIZES if parameters < limit)


def seeds(score: Score) -> str:
    """The seed of the first episode and, after a slash, the policy's."""
    return one_line(score.seed if score.policy_seed is None else f"{score.seed} / {score.policy_seed}", 40)


def link(url: str | None) -> str | None:
    """`url` if it is a page of the Hub; no other address becomes a link."""
    import huggingface_hub.constants

    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    home = urlsplit(huggingface_hub.constants.ENDPOINT).netloc
    # The whole network location is compared: a port, a user name or a look-alike host does not pass.
    return url if parts.scheme in ("http", "https") and parts.netloc == home and one_line(url, 500) == url else None


def plot(score: Score) -> tuple[str, str, str, int]:
    """A score as coordinates in a picture 120 wide: left end and width of the interval, the score itself, and -1 or 1
    if that is left or right of the picture."""

    def place(value: float) -> float:
        return min(max(value, PLOT[0]), PLOT[1]) - PLOT[0]

    low, high = (place(value) for value in score.normalized_interval or (score.normalized,) * 2)
    outside = (score.normalized > PLOT[1]) - (score.normalized < PLOT[0])
    return f"{low:.1f}", f"{max(high - low, 0.0):.1f}", f"{place(score.normalized):.1f}", outside


# --- episodes to look at


class Line(NamedTuple):
    """One turn of an episode as the page shows it.

    Args:
        role (`str`), text (`str`): who speaks, and the text.
        reward (`str`): empty for the simulator's turns.
        total (`str`): the return so far.
        at (`tuple[str, str]`): the place of the return so far in a picture of 300 by 40.
    """

    role: str
    text: str
    reward: str
    total: str
    at: tuple[str, str]


def lines(episode: Episode) -> list[Line]:
    """The turns of an episode that fit on the page."""
    rewards = [_finite(turn.reward) for turn in episode.turns]
    totals = list(accumulate(rewards))
    lowest, highest = min(0.0, *totals), max(0.0, *totals)
    shown: list[Line] = []
    length = 0
    for index, turn in enumerate(episode.turns[:MAX_TURNS]):
        text = printable(str(turn.content), MAX_TEXT)
        length += len(text)
        if length > MAX_EPISODE_TEXT:
            break
        height = (totals[index] - lowest) / ((highest - lowest) or 1.0)
        at = f"{5 + 290 * index / max(len(totals) - 1, 1):.1f}", f"{35 - 30 * height:.1f}"
        reward = _short(rewards[index]) if turn.role == "assistant" else ""
        shown.append(Line(turn.role, text, reward, _short(totals[index]), at))
    return shown


def total(episode: Episode) -> str:
    """The episode's return."""
    return _short(sum(_finite(turn.reward) for turn in episode.turns))


def _finite(value: object) -> float:
    """A published reward. One that is not finite counts as 0 here; verification flags its entry."""
    return float(value) if isinstance(value, int | float) and abs(value) < 1e300 else 0.0


def _short(value: float) -> str:
    return number(value) if value == round(value) else number(value, 2)
