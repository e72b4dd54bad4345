"""How near a text is to each known question of Guess My City, by a small sentence model."""

from functools import cache
from typing import Any

from lmrl_data.dialogue.sentence_model import sentence_model
from lmrl_data.tasks.guess_my_city.forms import forms, lexical, without_slot

SHARE = 0.8  # of the sentence model; the rest is the lexical matcher's


@cache
def load() -> Any:
    """The known questions as vectors, a tensor of shape [forms, dimensions]."""
    return sentence_model().encode([without_slot(form.text) for form in forms()])


def scores(text: str, question: str) -> list[float]:
    """The likeness of a text to each of `forms()`.

    Args:
        text (`str`): as it was said.
        question (`str`): its folded words, for the lexical share.
    """
    near = (load() @ sentence_model().encode([text])[0]).tolist()
    return [SHARE * one + (1 - SHARE) * other for one, other in zip(near, lexical().scores(question), strict=True)]
