"""Small tokenizers that are built to the rules of those that models have, by name."""

import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from lmrl_data.tokenization import PROBES

TEXTS = [text for probe in PROBES for text in probe] * 4
LINES = ["".join(f"{text}\n" for text in probe) for probe in PROBES] * 4
BYTES = sorted(pre_tokenizers.ByteLevel.alphabet())
CHARACTERS = sorted(set("".join(LINES).replace(" ", "▁")) | {chr(code) for code in range(33, 127)})
# Of the tokenizers of Llama 3 and Qwen 2.5: a line break belongs to the punctuation before it.
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
LLAMA3 = WORDS + r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CHAT_TOKENS = ("<|im_start|>", "<|im_end|>")


def _split_bytes(pattern: str) -> Any:
    split = pre_tokenizers.Split(Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _byte_level(pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizer, decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=BYTES, show_progress=False)
    tokenizer.train_from_iterator(LINES, trainer)
    return tokenizer


def _sentencepiece(prefix: str, pre_tokenizer: Any = None) -> Tokenizer:
    """A BPE with byte fallback whose spaces are `▁`; no piece holds a line break, which is a byte.

    Args:
        prefix (`str`): where a `▁` is put: `"legacy"` (before each text between special tokens), `"first"`,
            `"always"` or `"never"`.
    """
    pieces = {f"<0x{byte:02X}>" for byte in range(256)}
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never" if prefix == "never" else "first")
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>"], initial_alphabet=["▁"], show_progress=False
    )
    trained.train_from_iterator([line for text in TEXTS for line in text.split("\n")], trainer)
    state = json.loads(trained.to_str())["model"]
    vocabulary = dict(state["vocab"])
    for piece in sorted(pieces):
        vocabulary[piece] = len(vocabulary)
    merges = [tuple(merge) for merge in state["merges"]]
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    steps: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix == "legacy":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif prefix == "never":
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix, split=False)
    tokenizer.decoder = decoders.Sequence([*steps, *([] if prefix == "never" else [decoders.Strip(" ", 1, 0)])])
    return tokenizer


def _unigram(keeps_lines: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    if not keeps_lines:
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    texts = [line for text in TEXTS for line in text.split("\n")]
    alphabet = [*CHARACTERS, "\n"] if keeps_lines else [c for c in CHARACTERS if c != "\n"]
    trainer = trainers.UnigramTrainer(
        vocab_size=400, special_tokens=["<unk>"], unk_token="<unk>", initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _wordpiece(lowercase: bool) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=["[UNK]", "[CLS]", "[SEP]"], initial_alphabet=CHARACTERS, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def _words(characters: bool) -> Tokenizer:
    if characters:
        vocabulary = {character.replace("▁", " "): i for i, character in enumerate(["<unk>", *CHARACTERS])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
    else:
        names = ["<unk>", *sorted({word for text in TEXTS for word in text.split()})]
        tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(names)}, unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def _gpt2(**options: bool) -> Tokenizer:
    return _byte_level(pre_tokenizers.ByteLevel(**{"add_prefix_space": False} | options))


def _smollm() -> Tokenizer:
    digits = pre_tokenizers.Digits(individual_digits=True)
    return _byte_level(pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)]))


# name: how it is built, what it writes before and after every text by itself, and options of its special tokens
KINDS: dict[str, tuple[Callable[[], Tokenizer], str, str, dict[str, Any]]] = {
    "gpt2": (_gpt2, "", "", {}),
    "gpt2_prefix_space": (lambda: _gpt2(add_prefix_space=True), "", "", {}),
    "smollm2": (_smollm, "", "", {}),
    "opt": (_gpt2, "<s>", "", {}),
    "llama3": (lambda: _byte_level(_split_bytes(LLAMA3)), "<s>", "", {}),
    "qwen2": (lambda: _byte_level(_split_bytes(LLAMA3.replace("{1,3}", "")), normalizers.NFC()), "", "", {}),
    "bytes_over_lines": (lambda: _gpt2(use_regex=False), "", "", {}),
    "llama2": (lambda: _sentencepiece("legacy"), "<s>", "", {}),
    "llama2_first": (lambda: _sentencepiece("first"), "<s>", "", {}),
    "metaspace_always": (lambda: _sentencepiece("always"), "", "", {}),
    "phi3": (lambda: _sentencepiece("legacy"), "", "", {"rstrip": True}),
    "gemma": (lambda: _sentencepiece("never"), "<s>", "", {}),
    "t5": (lambda: _unigram(keeps_lines=False), "", "</s>", {}),
    "unigram_with_lines": (lambda: _unigram(keeps_lines=True), "<s>", "</s>", {}),
    "bert_uncased": (lambda: _wordpiece(lowercase=True), "<s>", "</s>", {}),
    "bert_cased": (lambda: _wordpiece(lowercase=False), "<s>", "</s>", {}),
    "characters": (lambda: _words(characters=True), "", "", {}),
    "words": (lambda: _words(characters=False), "", "", {}),
}


@cache
def _built(kind: str) -> str:
    return KINDS[kind][0]().to_str()


def build(kind: str, chat_template: str | None, eos: str = "</s>") -> PreTrainedTokenizerFast:
    """A tokenizer of a kind, with the special tokens of ChatML."""
    _, before, after, options = KINDS[kind]
    tokenizer = Tokenizer.from_str(_built(kind))
    names = ["<s>", "</s>", "<pad>", *CHAT_TOKENS]
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False, **options) for name in names])
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{before} $A {after}".strip(),
                special_tokens=[(name, tokenizer.token_to_id(name)) for name in ("<s>", "</s>")],
            ),
        ]
    )
    unknown = [name for name in ("<unk>", "[UNK]") if name in tokenizer.get_vocab()]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token=eos,
        pad_token="<pad>",
        unk_token=unknown[0] if unknown else None,
        chat_template=chat_template,
    )


def with_tokens(tokens: Iterable[str], chat_template: str) -> PreTrainedTokenizerFast:
    """A tokenizer like GPT-2's that has these tokens, too; those of thoughts are no special ones, as in Qwen's."""
    tokenizer = build("gpt2", chat_template)
    tokenizer.add_tokens([AddedToken(name, special="think" not in name, normalized=False) for name in sorted(tokens)])
    return tokenizer
