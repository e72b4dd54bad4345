"""What the dataset card says of the talks: how varied the sellers' lines are, and who sells to whom."""

import re
from collections import Counter
from collections.abc import Iterable

from lmrl_data.dialogue.diversity import Diversity
from lmrl_data.episode import Episode


def data_facts(config: str, episodes: Iterable[Episode]) -> dict[str, str]:
    """The rows of the card: how often each seller sells to each kind of buyer, and why talks end, among others."""
    diversity = Diversity(lower=True)
    sales: Counter[tuple[str, str]] = Counter()
    talks: Counter[tuple[str, str]] = Counter()
    ends: Counter[str] = Counter()
    scripts: Counter[tuple[str, ...]] = Counter()  # a seller's lines of one talk
    for episode in episodes:
        scripts[tuple(diversity.add(episode))] += 1
        key = (episode.policy, episode.info["buyer"]["strategy"])
        talks[key] += 1
        sales[key] += episode.success
        ends[episode.info["outcome"]["reason"]] += 1
    masked = {re.sub(r"[0-9][0-9,.]*", "#", line) for line in diversity.texts}
    lines, count, trigrams = max(1, diversity.texts.total()), max(1, talks.total()), len(diversity.trigrams)
    rows = {
        "different lines of sellers": f"{len(diversity.texts):,}, {len(diversity.texts) / lines:.1%} of all",
        "the same with numbers masked": f"{len(masked):,}, {len(masked) / lines:.1%} of all",
        "different trigrams of words": f"{trigrams:,}, {diversity.distinct_trigrams:.1%} of all",
        "talks that are there twice": f"{scripts.total() - len(scripts):,}",
    }
    for policy in sorted({name for name, _ in talks}):
        rates = (
            f"{kind} {sales[policy, kind] / talks[policy, kind]:.0%}"
            for kind in sorted({kind for _, kind in talks})
            if talks[policy, kind]
        )
        rows[f"sales of the seller {policy} by buyer"] = ", ".join(rates)
    rows["talks ended by"] = ", ".join(f"{reason} {number / count:.1%}" for reason, number in ends.most_common())
    return rows
