"""How a language model attends: which architectures can keep keys and values over turns, and with which masks."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from lmrl_data.errors import UserError

# The `model_type`s that write the same tokens with kept keys and values as `generate` writes from the whole
# conversation; tests/lmrl_eval/policies/test_conformance.py shows it. All other types are encoded anew at every turn.
KEPT = frozenset(
    {
        "afmoe", "apertus", "arcee", "aria_text", "axk1", "beam", "biogpt", "bitnet", "codegen", "cohere",
        "cohere2", "cohere2_moe", "cohere_compass_text", "ctrl", "cwm", "deepseek_v2", "deepseek_v3", "diffllama",
        "doge", "dots1", "ernie4_5", "ernie4_5_moe", "exaone4", "exaone_moe", "falcon", "flex_olmo",
        "flint", "fuyu", "gemma", "gemma2", "gemma3", "gemma3_text", "gemma3n_text", "gemma4", "gemma4_text",
        "gemma4_unified", "gemma4_unified_text", "git", "glm", "glm4", "glm4_moe", "glm4_moe_lite", "got_ocr2",
        "gpt-sw3", "gpt2", "gpt_bigcode", "gpt_neox", "gpt_neox_japanese", "gpt_oss", "gptj", "granite",
        "granite_swa", "granitemoe", "granitemoe_swa", "granitemoeshared", "helium", "hrm_text",
        "hunyuan_v1_dense", "hunyuan_v1_moe", "hy_v3", "hyperclovax", "internlm3", "iquestcoder", "jais2",
        "jetmoe", "kolibri1", "laguna", "llama", "llama4", "llama4_text", "longcat_flash", "mellum",
        "mimo_v2_flash", "minicpm3", "minimax_m2", "ministral", "ministral3", "mistral", "mixtral",
        "modernbert-decoder", "moss_transcribe_diarize", "mpt", "nanochat", "nemotron", "olmo", "olmo2", "olmo3",
        "olmoe", "opt", "persimmon", "phi", "phi3", "phi4_multimodal", "phimoe", "qwen2", "qwen2_moe", "qwen3",
        "qwen3_moe", "seed_oss", "smollm3", "solar_open", "stablelm", "starcoder2", "vaultgemma",
        "whisper", "xglm", "youtu",
    }
)  # fmt: skip
# Types that are refused, and why.
OTHER_TOKENS = "its generate writes other tokens than its forward pass"
REFUSED = {
    **dict.fromkeys(
        ("camembert", "data2vec-text", "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"),
        OTHER_TOKENS,
    ),
    "moshi": "it writes other tokens with kept keys and values than without",
    "rwkv": "in a batch, transformers lets its rows change one another",
    "xlm": f"{OTHER_TOKENS}, for it writes a mask token first",
}
# The context of a model whose config names none, such as BLOOM's or Mamba's: both were trained on so many tokens.
DEFAULT_CONTEXT = 2048
CONTEXT_NAMES = ("max_position_embeddings", "max_target_positions", "max_seq_len", "seq_length", "context_length")
# Rotary embeddings of these types change all positions once a sequence is longer than the original context.
CHANGING_ROPES = ("dynamic", "longrope")


def text_config(model: Any) -> Any:
    """The config of the part of a model that writes.

    Raises:
        UserError: if the model has no such part.
    """
    try:
        return model.config.get_text_config(decoder=True)
    except ValueError:
        raise UserError(f"a model of type {model.config.model_type} is no language model: it cannot play") from None


def context_length(model: Any) -> int:
    """The most tokens that a model can read and write in one sequence.

    Args:
        model (`PreTrainedModel`): a causal language model.
    """
    config = text_config(model)
    lengths = [getattr(config, name, None) for name in CONTEXT_NAMES]
    return int(next((number for number in lengths if number and number > 0), DEFAULT_CONTEXT))


def kept_length(model: Any) -> int:
    """Up to how many tokens a sequence's keys and values can be kept from turn to turn; 0 where they never can."""
    config: PreTrainedConfig = model.config
    if config.model_type not in KEPT or config._attn_implementation not in (None, "eager", "sdpa"):
        return 0
    text = text_config(model)
    if getattr(text, "alibi", False):  # Falcon's needs the padding
        return 0
    length = context_length(model)
    ropes = getattr(text, "rope_parameters", None) or {}
    for rope in [ropes, *(rope for rope in ropes.values() if isinstance(rope, dict))]:
        if rope.get("rope_type") in CHANGING_ROPES:
            original = rope.get("original_max_position_embeddings")
            original = original or getattr(text, "original_max_position_embeddings", None) or length
            length = min(length, int(original))
    return length


def attention_masks(config: Any, positions: Tensor, width: int, dtype: torch.dtype) -> Tensor | dict[str, Tensor]:
    """What each query sees of a cache whose columns are positions.

    Args:
        config (`PreTrainedConfig`): names the kinds of the layers and the sizes of their windows.
        positions (`Tensor`): of the queries, `[rows, tokens]`.
        width (`int`): how many columns there are.
        dtype (`torch.dtype`): of the model.

    Returns:
        One additive mask `[rows, 1, tokens, width]`, or, where layers differ, one for each kind of layer.
    """
    queries = positions[:, None, :, None]
    columns = torch.arange(width, device=positions.device)
    causal = columns <= queries

    def additive(visible: Tensor) -> Tensor:
        mask = torch.zeros(visible.shape, dtype=dtype, device=positions.device)
        return mask.masked_fill_(~visible, torch.finfo(dtype).min)

    window = getattr(config, "sliding_window", None) or width
    chunk = getattr(config, "attention_chunk_size", None) or width
    kinds = getattr(config, "layer_types", None)
    if not kinds:
        kinds = ["sliding_attention" if window < width else "chunked_attention"]
    if width <= min(window, chunk):
        kinds = ["full_attention"]
    masks: dict[str, Tensor] = {}
    for kind in kinds:
        if kind not in masks:
            visible = causal
            if kind == "sliding_attention":
                visible = causal & (columns > queries - window)
            elif kind == "chunked_attention":
                visible = causal & (columns // chunk == queries // chunk)
            masks[kind] = additive(visible)
    return masks if len(masks) > 1 else next(iter(masks.values()))


@torch.no_grad()
def check_plays(model: Any) -> None:
    """Checks that a model is a causal language model that can play.

    Args:
        model (`PreTrainedModel`): is run once, on a few tokens.

    Raises:
        UserError: if its type is refused, its forward pass fails, it cannot `generate`, or its logits depend on later
            tokens.
    """
    kind = f"a model of type {model.config.model_type}"
    text_config(model)
    if model.config.model_type in REFUSED:
        raise UserError(f"{kind} cannot play: {REFUSED[model.config.model_type]}")
    if not callable(getattr(model, "generate", None)):
        raise UserError(f"{kind} cannot play: it has no generate")
    # Two sequences that differ in their last token only.
    ids = torch.tensor([[3, 5, 4, 6, 3, 7], [3, 5, 4, 6, 3, 8]], device=next(model.parameters()).device)
    training = model.training
    model.eval()
    try:
        logits = model(input_ids=ids, use_cache=False).logits[:, :-1].float()
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{kind} cannot play: {lines[0][:200]}") from None
    finally:
        model.train(training)
    tolerance = 1e-4 if next(model.parameters()).dtype in (torch.float32, torch.float64) else 0.02
    if float((logits[0] - logits[1]).abs().max()) > tolerance * float(logits.abs().max()):
        raise UserError(
            f"{kind} cannot play: its logits depend on later tokens; set is_decoder in its config if it has it"
        )
