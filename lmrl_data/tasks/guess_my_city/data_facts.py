"""What the dataset card says of the games: which cities were found, and how varied the questions are."""

from collections.abc import Iterable

from lmrl_data.dialogue.diversity import Diversity
from lmrl_data.episode import Episode
from lmrl_data.tasks.guess_my_city.facts import cities
from lmrl_data.tasks.guess_my_city.questions import read


def data_facts(config: str, episodes: Iterable[Episode]) -> dict[str, str]:
    """The rows of the card."""
    diversity, won = Diversity(), set[str]()
    open_questions = 0
    for episode in episodes:
        open_questions += sum(not read(text).polar for text in diversity.add(episode))
        if episode.info["success"]:
            won.add(episode.info["city"])
    asked, games = diversity.texts.total(), diversity.dialogues.total()
    return {
        "cities that are found at least once": f"{len(won)} of {len(cities(config))}",
        "distinct questions": f"{len(diversity.texts):,}",
        "open questions": f"{open_questions / max(asked, 1):.0%}",
        "distinct word trigrams of all in the questions": f"{diversity.distinct_trigrams:.4f}",
        "episodes that are equal to an earlier one": f"{diversity.repeated_dialogues / max(games, 1):.2%}",
    }
