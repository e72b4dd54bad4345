"""What the dataset card says of the games: which objects were found, and how varied the questions are."""

from collections import Counter
from collections.abc import Iterable

from lmrl_data.dialogue.diversity import Diversity
from lmrl_data.episode import Episode

GAMES = 10_000  # whose questions are counted


def data_facts(config: str, episodes: Iterable[Episode]) -> dict[str, str]:
    """The rows of the card."""
    won, played, diversity = Counter[str](), Counter[str](), Diversity()
    for number, episode in enumerate(episodes):
        played[episode.info["object"]] += 1
        won[episode.info["object"]] += episode.success
        if number < GAMES:
            diversity.add(episode)
    games = diversity.dialogues.total()
    return {
        "objects with a game that found them": f"{sum(won[name] > 0 for name in played)} of {len(played)} played",
        f"distinct questions (first {games:,} games)": f"{len(diversity.texts):,}",
        "distinct word trigrams / all, of the questions": f"{round(diversity.distinct_trigrams, 4):.2%}",
        "games that repeat another to the word": f"{round(diversity.repeated_dialogues / max(1, games), 4):.2%}",
    }
