"""How varied the agent's texts are in a set of episodes: different texts, word trigrams, and repeated episodes."""

from collections import Counter
from collections.abc import Iterable

from lmrl_data.episode import Episode


class Diversity:
    """Counts the agent's texts.

    Args:
        episodes (`Iterable[Episode]`, *optional*): the first episodes to count.
        lower (`bool`, *optional*, defaults to `False`): whether trigrams ignore case.
    """

    def __init__(self, episodes: Iterable[Episode] = (), *, lower: bool = False) -> None:
        self.lower = lower
        self.texts: Counter[str] = Counter()
        self.trigrams: Counter[tuple[str, str, str]] = Counter()
        self.dialogues: Counter[tuple[str, ...]] = Counter()  # the texts of both sides
        for episode in episodes:
            self.add(episode)

    def add(self, episode: Episode) -> list[str]:
        """Counts an episode; returns the agent's texts."""
        texts = [turn.content for turn in episode.turns if turn.role == "assistant"]
        self.texts.update(texts)
        self.dialogues[tuple(turn.content for turn in episode.turns)] += 1
        for text in texts:
            words = (text.lower() if self.lower else text).split()
            self.trigrams.update(zip(words, words[1:], words[2:], strict=False))
        return texts

    @property
    def distinct_trigrams(self) -> float:
        """The share of different trigrams among all."""
        return len(self.trigrams) / max(1, self.trigrams.total())

    @property
    def repeated_dialogues(self) -> int:
        """How many episodes repeat an earlier one word for word."""
        return self.dialogues.total() - len(self.dialogues)
