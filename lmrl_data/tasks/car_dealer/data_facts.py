"""What Car Dealer's dataset card says of its talks beyond their statistics: how varied they are, who sells to whom."""

import re
from collections import Counter
from collections.abc import Iterable

from lmrl_data.episode import Episode


def facts(episodes: Iterable[Episode]) -> dict[str, str]:
    """How varied the sellers' lines are, how often each seller sells to each buyer, and why talks end."""
    lines: Counter[str] = Counter()
    masked: set[str] = set()
    trigrams: Counter[tuple[str, str, str]] = Counter()
    sales: Counter[tuple[str, str]] = Counter()
    talks: Counter[tuple[str, str]] = Counter()
    ends: Counter[str] = Counter()
    openings: Counter[tuple[str, ...]] = Counter()
    for episode in episodes:
        said = [turn.content for turn in episode.turns if turn.role == "assistant"]
        lines.update(said)
        openings[tuple(said)] += 1
        for text in said:
            masked.add(re.sub(r"[0-9][0-9,.]*", "#", text))
            words = text.lower().split()
            trigrams.update(zip(words, words[1:], words[2:], strict=False))
        key = (episode.policy, episode.info["buyer"]["strategy"])
        talks[key] += 1
        sales[key] += episode.success
        ends[episode.info["outcome"]["reason"]] += 1
    every, games = max(1, lines.total()), max(1, talks.total())
    made = {
        "different lines of sellers": f"{len(lines):,}, {len(lines) / every:.1%} of all",
        "the same with numbers masked": f"{len(masked):,}, {len(masked) / every:.1%} of all",
        "different trigrams of words": f"{len(trigrams):,}, {len(trigrams) / max(1, trigrams.total()):.1%} of all",
        "talks that are there twice": f"{sum(n - 1 for n in openings.values()):,}",
    }
    for policy in sorted({name for name, _ in talks}):
        rates = (
            f"{kind} {sales[policy, kind] / talks[policy, kind]:.0%}"
            for kind in sorted({kind for _, kind in talks})
            if talks[policy, kind]
        )
        made[f"sales of the seller {policy} by buyer"] = ", ".join(rates)
    made["talks ended by"] = ", ".join(f"{name} {n / games:.1%}" for name, n in ends.most_common())
    return made
