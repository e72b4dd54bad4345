# /// script
# dependencies = ["lmrl[train]"]
# ///
"""Trains the reader of the dialogue tasks on the sentences of `recipes/sentences/`, and writes it as one file.

    lmrl-train reader --output_dir lmrl_data/dialogue/assets

A pretrained sentence encoder is trained on all heads at once. A student with the encoder's first layers then learns to
say what the encoder says (Hinton et al. 2015), and its weights become whole numbers. One voice of each task never
trains: `reader.json` holds the command's settings and the figures on these voices.
"""

import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the same command gives the same bytes

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm
from transformers import AutoModel, AutoTokenizer, BertConfig, BertModel

from lmrl_data.atomic import replace, write_text
from lmrl_data.dialogue.reader import MAX_PIECES, Layer, Pieces, Reader
from lmrl_data.errors import UserError
from lmrl_eval.publication import public
from lmrl_recipes.training.sentences import (
    HEADS,
    SEVERAL,
    TRAINING,
    Example,
    digest,
    examples,
    training_examples,
    typed,
)
from lmrl_recipes.training.start import Settings, run

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
SHARPNESS = 20.0  # vectors have length 1, so scores would be too alike


@dataclass
class ReaderArguments:
    """How to train it. The defaults make the file that is shipped."""

    output_dir: str = field(metadata={"help": "Where reader.npz and reader.json go."})
    encoder: str = field(
        default="sentence-transformers/all-MiniLM-L6-v2",
        metadata={"help": "A BERT encoder of sentences, a name on the Hub or a folder; '' for a small random one."},
    )
    layers: int = field(default=2, metadata={"help": "Layers of the student."})
    vocab_size: int = field(default=10_000, metadata={"help": "Word pieces that are kept."})
    epochs: int = field(default=3, metadata={"help": "Epochs of the encoder."})
    student_epochs: int = field(default=4, metadata={"help": "Epochs of the student."})
    learning_rate: float = field(default=2e-4, metadata={"help": "Of the encoders; the heads learn 3 times as fast."})
    batch_size: int = field(default=32, metadata={"help": "Sentences a step."})
    seed: int = field(default=0, metadata={"help": "Decides the order, the typing mistakes and dropout."})
    only: str = field(default="", metadata={"help": "Only examples with a label that begins so, to try things out."})


# --- the net


def kept_pieces(vocabulary: Sequence[str], sentences: Sequence[str], size: int) -> list[str]:
    """The pieces that the sentences need, all pieces of one or two letters, and the encoder's first others."""
    cut = Pieces(vocabulary)
    used = {vocabulary[number] for sentence in sentences for number in cut(sentence)}
    plain = [piece for piece in vocabulary if piece.isascii() and not piece.startswith("[")]
    short = {piece for piece in plain if len(piece.removeprefix("##")) < 3}
    kept = {*SPECIAL, *used, *short}
    for piece in plain:
        if len(kept) >= size:
            break
        if piece.removeprefix("##").isalpha():
            kept.add(piece)
    return [piece for piece in vocabulary if piece in kept]


def letters_and_words(sentences: Sequence[str]) -> list[str]:
    """A vocabulary for an encoder that is not pretrained: signs, letters and the words that come twice."""
    signs = [chr(number) for number in range(33, 127) if not chr(number).isupper()]
    words = Counter(word for sentence in sentences for word in sentence.lower().split() if word.isalpha())
    often = sorted(word for word, count in words.items() if count > 1 and len(word) > 1)
    return [*SPECIAL, *signs, *(f"##{sign}" for sign in signs if sign.isalnum()), *often]


class Net(nn.Module):
    """An encoder, whose vector of a sentence is the mean over its pieces, and a linear head for each kind of label."""

    def __init__(self, encoder: BertModel, pieces: Pieces, labels: Mapping[str, Sequence[str]]) -> None:
        super().__init__()
        self.encoder = encoder
        self.pieces = pieces
        width = encoder.config.hidden_size
        self.heads = nn.ModuleDict({head: nn.Linear(width, len(names)) for head, names in labels.items()})

    def vectors(self, sentences: Sequence[str]) -> Tensor:
        """The vectors of sentences (sentences x width), of length 1."""
        ids = [torch.tensor(self.pieces(sentence)) for sentence in sentences]
        padded = nn.utils.rnn.pad_sequence(ids, batch_first=True)
        lengths = torch.tensor([len(row) for row in ids])
        mask = torch.arange(padded.shape[1])[None] < lengths[:, None]
        hidden = self.encoder(input_ids=padded, attention_mask=mask.long()).last_hidden_state
        return functional.normalize((hidden * mask[..., None]).sum(1), dim=1)

    def forward(self, sentences: Sequence[str]) -> dict[str, Tensor]:
        """The scores of each head (sentences x labels)."""
        vectors = self.vectors(sentences) * SHARPNESS
        return {name: head(vectors) for name, head in self.heads.items()}

    @torch.no_grad()
    def begin_at_the_means(self, rows: Sequence[Example], labels: Mapping[str, Sequence[str]]) -> None:
        """Lets each label's weights point to the mean of its sentences, away from the mean of all."""
        self.eval()
        vectors = torch.cat(
            [self.vectors([row.sentence for row in rows[at : at + 64]]) for at in range(0, len(rows), 64)]
        )
        for head, names in labels.items():
            place = {name: number for number, name in enumerate(names)}
            sums = torch.zeros(len(names), vectors.shape[1])
            for row, vector in zip(rows, vectors, strict=True):
                for label in row.labels.get(head, ()):
                    sums[place[label]] += vector
            self.heads[head].weight.copy_(
                (functional.normalize(sums, dim=1) - vectors.mean(0)) * (0.1 if head in SEVERAL else 1)
            )  # type: ignore[operator]
            self.heads[head].bias.zero_()  # type: ignore[operator]
        self.train()


def load_encoder(arguments: ReaderArguments, sentences: Sequence[str]) -> tuple[BertModel, Pieces]:
    """The encoder with the embeddings of the pieces that are kept.

    Raises:
        UserError: if the encoder is no BERT.
    """
    if not arguments.encoder:
        pieces = Pieces(letters_and_words(sentences))
        config = BertConfig(
            vocab_size=len(pieces.ids), max_position_embeddings=MAX_PIECES + 2,
            hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        )  # fmt: skip
        return BertModel(config, add_pooling_layer=False), pieces
    tokenizer = AutoTokenizer.from_pretrained(arguments.encoder, trust_remote_code=False)
    model = AutoModel.from_pretrained(arguments.encoder, trust_remote_code=False, add_pooling_layer=False)
    if not isinstance(model, BertModel) or model.config.hidden_act != "gelu":
        raise UserError(f"{arguments.encoder} is no BERT encoder with GELU; choose one such as all-MiniLM-L6-v2")
    ids = tokenizer.get_vocab()
    vocabulary = sorted(ids, key=ids.__getitem__)
    kept = kept_pieces(vocabulary, sentences, arguments.vocab_size)
    weights = model.get_input_embeddings().weight.detach()[[ids[piece] for piece in kept]]
    model.set_input_embeddings(nn.Embedding(len(kept), weights.shape[1], _weight=weights.clone()))
    model.config.vocab_size = len(kept)
    return model, Pieces(kept)


def first_layers(teacher: BertModel, layers: int) -> BertModel:
    """A copy of an encoder that ends after some of its layers."""
    config = BertConfig(**{**teacher.config.to_dict(), "num_hidden_layers": layers})
    student = BertModel(config, add_pooling_layer=False)
    student.load_state_dict(teacher.state_dict(), strict=False)
    return student


# --- training


def batches(rows: Sequence[Example], size: int, random: np.random.Generator) -> Iterator[list[Example]]:
    """The examples in random order, each batch of about one length."""
    order = random.permutation(len(rows))
    groups = list[list[Example]]()
    for at in range(0, len(order), 20 * size):
        block = sorted((rows[place] for place in order[at : at + 20 * size]), key=lambda row: len(row.sentence))
        groups += [block[place : place + size] for place in range(0, len(block), size)]
    for place in random.permutation(len(groups)):
        yield groups[place]


def loss_of(scores: Mapping[str, Tensor], batch: Sequence[Example], labels: Mapping[str, Sequence[str]]) -> Tensor:
    """The cross-entropy of the heads that the examples have labels for, each weighted by their share of the batch."""
    total = torch.zeros(())
    for head, names in labels.items():
        places = [place for place, row in enumerate(batch) if head in row.labels]
        if not places:
            continue
        known = [batch[place].labels[head] for place in places]
        if head in SEVERAL:
            wanted = torch.tensor([[float(name in several) for name in names] for several in known])
            loss = functional.binary_cross_entropy_with_logits(scores[head][places], wanted)
        else:
            loss = functional.cross_entropy(
                scores[head][places], torch.tensor([names.index(name) for (name,) in known]), label_smoothing=0.05
            )
        total = total + loss * len(places) / len(batch)
    return total


def distance(scores: Mapping[str, Tensor], wanted: Mapping[str, Tensor], batch: Sequence[Example]) -> Tensor:
    """How far the student's probabilities are from the teacher's (KL divergence), where the examples have labels."""
    total = torch.zeros(())
    for head, all_theirs in wanted.items():
        places = [place for place, row in enumerate(batch) if head in row.labels]
        if not places:
            continue
        ours, theirs = scores[head][places], all_theirs[places]
        if head in SEVERAL:
            loss = functional.binary_cross_entropy_with_logits(ours, theirs.sigmoid())
        else:
            ours, theirs = functional.log_softmax(ours, 1), functional.log_softmax(theirs, 1)
            loss = functional.kl_div(ours, theirs, log_target=True, reduction="batchmean")
        total = total + loss * len(places) / len(batch)
    return total


def fit(
    net: Net,
    rows: Sequence[Example],
    labels: Mapping[str, Sequence[str]],
    arguments: ReaderArguments,
    epochs: int,
    teacher: Net | None = None,
) -> None:
    """Trains a net on the examples, and on what the teacher says of them."""
    random = np.random.default_rng(arguments.seed)
    steps = epochs * -(-len(rows) // arguments.batch_size)
    rate = arguments.learning_rate
    optimizer = torch.optim.AdamW(
        [{"params": net.encoder.parameters(), "lr": rate}, {"params": net.heads.parameters(), "lr": 3 * rate}],
        weight_decay=0.01,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / 100) * max(0.02, 1 - step / max(steps, 1))
    )
    net.train()
    bar = tqdm(total=steps, desc="student" if teacher else "encoder", unit="step", mininterval=5)
    for _ in range(epochs):
        for batch in batches(rows, arguments.batch_size, random):
            sentences = [typed(row.sentence, random) for row in batch]
            scores = net(sentences)
            loss = loss_of(scores, batch, labels)
            if teacher is not None:
                with torch.no_grad():
                    wanted = teacher(sentences)
                loss = 0.3 * loss + distance(scores, wanted, batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            bar.update()
            bar.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    bar.close()
    net.eval()


# --- the file


def whole(weights: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a matrix as whole numbers from -127 to 127, and what one of them stands for in each row."""
    values = weights.detach().double().numpy()
    unit = np.maximum(np.abs(values).max(axis=1), 2.0**-30) / 127
    return np.rint(values / unit[:, None]).astype(np.int8), unit.astype(np.float32)


def arrays(net: Net, labels: Mapping[str, Sequence[str]], facts: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What `lmrl_data.dialogue.reader.Reader` takes."""
    result = dict[str, np.ndarray]()

    def linear(name: str, layer: nn.Linear, sharpness: float = 1.0) -> None:
        numbers, unit = whole(layer.weight)
        result[f"{name}.weights"], result[f"{name}.unit"] = (
            np.ascontiguousarray(numbers.T),
            unit * np.float32(sharpness),
        )
        result[f"{name}.bias"] = layer.bias.detach().numpy()

    def norm(name: str, layer: nn.LayerNorm) -> None:
        result[f"{name}.scale"], result[f"{name}.bias"] = layer.weight.detach().numpy(), layer.bias.detach().numpy()

    embeddings = net.encoder.embeddings
    result["words"], result["words.unit"] = whole(embeddings.word_embeddings.weight)
    result["words.unit"] = result["words.unit"][:, None]
    places = embeddings.position_embeddings.weight[: MAX_PIECES + 2] + embeddings.token_type_embeddings.weight[0]
    result["places"] = places.detach().numpy()
    norm("first_norm", embeddings.LayerNorm)
    for number, layer in enumerate(net.encoder.encoder.layer):
        attention: Any = layer.attention
        feed: Any = layer
        parts = (
            attention.self.query, attention.self.key, attention.self.value, attention.output.dense,
            attention.output.LayerNorm, feed.intermediate.dense, feed.output.dense, feed.output.LayerNorm,
        )  # fmt: skip
        for name, part in zip(Layer._fields, parts, strict=True):
            (norm if isinstance(part, nn.LayerNorm) else linear)(f"{number}.{name}", part)
    for head in labels:
        linear(f"head.{head}", net.heads[head], SHARPNESS)  # type: ignore[arg-type]
    text = json.dumps(
        {
            **facts,
            "labels": labels,
            "exclusive": {head: head not in SEVERAL for head in labels},
            "vocabulary": list(net.pieces.ids),
            "layers": net.encoder.config.num_hidden_layers,
            "attention_heads": net.encoder.config.num_attention_heads,
        },
        separators=(",", ":"),
    )
    result["facts"] = np.frombuffer(text.encode(), np.uint8)
    return result


def figures(reader: Reader, rows: Sequence[Example]) -> dict[str, float]:
    """The share of the sentences whose likeliest label is right, by head and kind; of a head of `SEVERAL`, the share
    of sentences for which a label is rightly above or below a probability of a half."""
    right: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        for head, known in row.labels.items():
            read = reader.read(head, row.sentence)
            if head in SEVERAL:
                for label in read:
                    right[f"{head}/{label.name}"].append((label.probability > 0.5) == (label.name in known))
            else:
                kind = "none" if known == ("none",) else row.kind
                right[f"{head}/{kind}"].append((read[0].name,) == known)
    return {name: round(sum(hits) / len(hits), 3) for name, hits in sorted(right.items())}


def matches(row: Example, beginning: str) -> bool:
    """Whether a label of an example begins so."""
    return any(label.startswith(beginning) for known in row.labels.values() for label in known)


def main(arguments: ReaderArguments, recipe: Settings) -> None:
    """Trains and writes the reader."""
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(1)
    rows = [row for row in training_examples() if matches(row, arguments.only)]
    labels = {
        head: sorted({label for row in rows for label in row.labels.get(head, ())})
        for head in HEADS
        if any(head in row.labels for row in rows)
    }
    encoder, pieces = load_encoder(arguments, [row.sentence for row in rows])
    teacher = Net(encoder, pieces, labels)
    teacher.begin_at_the_means(rows, labels)
    fit(teacher, rows, labels, arguments, arguments.epochs)
    torch.manual_seed(arguments.seed)
    student = Net(first_layers(encoder, arguments.layers), pieces, labels)
    student.begin_at_the_means(rows, labels)
    fit(student, rows, labels, arguments, arguments.student_epochs, teacher)
    facts = {"examples": digest(rows)}
    made = arrays(student, labels, facts)
    tests = [row for row in examples() if row.voice not in TRAINING and matches(row, arguments.only)]
    folder = Path(arguments.output_dir)

    def write(path: Path) -> None:
        with path.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **made)

    replace(folder / "reader.npz", write)
    report = {**public(asdict(arguments)), **facts, "sentences": len(rows), "right": figures(Reader(made), tests)}
    del report["output_dir"]
    write_text(folder / "reader.json", json.dumps(report, indent=1) + "\n")
    print(json.dumps(report["right"], indent=1))


if __name__ == "__main__":
    run(main, ReaderArguments)
