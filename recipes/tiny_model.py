# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Makes a small Llama-style model with its own tokenizer from a dataset's texts, for training from scratch on a CPU.

Words and digits are single tokens, so that a position is a token. The result is an ordinary checkpoint.

    python recipes/tiny_model.py --dataset_name lmrl/maze --dataset_config fully_observed --output_dir runs/maze/base
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# Sizes measured on two CPU cores: `tiny` learns the maze in half a minute; `medium` is the largest that is any fun.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
    "deep": {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4},
    "small": {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
    "wide": {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 4},
    "medium": {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2},
    "large": {"hidden_size": 512, "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 4},
}
PATTERN = r"\n| ?\p{L}+| ?\p{N}|[^\S\n]| ?[^\s\p{L}\p{N}]+"
CHAT_TEMPLATE = Path(__file__).parent / "text_game.jinja"


@dataclass
class TinyModelArguments:
    """What to make."""

    dataset_name: str = field(metadata={"help": "The dataset whose texts the tokenizer is made for."})
    output_dir: str = field(metadata={"help": "Where the checkpoint goes."})
    dataset_config: str | None = field(default=None, metadata={"help": "The dataset's config."})
    dataset_split: str = field(default="train", metadata={"help": "The split, or a part such as train[:10000]."})
    size: str = field(default="small", metadata={"help": "tiny, deep, small, wide, medium or large."})
    vocab_size: int = field(default=512, metadata={"help": "At most so many tokens; 256 are single bytes."})
    max_length: int = field(default=2048, metadata={"help": "The longest sequence the model is meant for."})
    seed: int = field(default=0, metadata={"help": "Decides the initial weights."})
    oracle: bool = field(default=False, metadata={"help": "For recipes/oracle.py: what an oracle reads and says."})


def train_tokenizer(texts: Iterable[str], vocab_size: int, max_length: int = 2048) -> Any:
    """A byte-level BPE tokenizer in which every frequent word of `texts` is one token; any text round-trips."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=["<|pad|>", "<|endoftext|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<|pad|>",
        eos_token="<|endoftext|>",
        model_max_length=max_length,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        chat_template=CHAT_TEMPLATE.read_text(encoding="utf-8"),
    )


def make_model(tokenizer: Any, size: str, seed: int, max_length: int = 2048) -> Any:
    """A randomly initialized Llama of one of the `SIZES`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from lmrl_data.errors import unknown

    if size not in SIZES:
        raise unknown("size", size, SIZES)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        intermediate_size=3 * SIZES[size]["hidden_size"],
        max_position_embeddings=max_length,
        tie_word_embeddings=True,
        # Wider than the usual 0.02: at these widths attention would start uniform and find positions late.
        initializer_range=SIZES[size]["hidden_size"] ** -0.5,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **SIZES[size],
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    # A line is an utterance: plain `generate` stops where the policy would.
    newline = tokenizer("\n", add_special_tokens=False)["input_ids"][-1]
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, newline]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model


def _texts(messages: Iterable[list[dict[str, str]]]) -> Iterator[str]:
    for episode in messages:
        yield "".join(message["content"] + "\n" for message in episode)


def _oracle_texts(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    from lmrl_data import Episode
    from lmrl_recipes.oracle import examples

    for row in rows:
        for example in examples(Episode.from_row(row)):
            yield "".join(turn.content + "\n" for turn in example.turns)


def main(arguments: TinyModelArguments) -> None:
    from lmrl_recipes.training.offline import load_rows

    rows = load_rows(arguments.dataset_name, arguments.dataset_config, arguments.dataset_split)
    texts = _oracle_texts(rows) if arguments.oracle else _texts(rows["messages"])
    tokenizer = train_tokenizer(texts, arguments.vocab_size, arguments.max_length)
    model = make_model(tokenizer, arguments.size, arguments.seed, arguments.max_length)
    model.save_pretrained(arguments.output_dir)
    tokenizer.save_pretrained(arguments.output_dir)
    print(f"{model.num_parameters():,} parameters, {len(tokenizer)} tokens: {arguments.output_dir}")


if __name__ == "__main__":
    from lmrl_recipes.training.start import run

    run(lambda arguments, recipe: main(arguments), TinyModelArguments)
