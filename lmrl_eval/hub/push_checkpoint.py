"""Publishes a checkpoint: its weights, its card and its training record become a model on the Hub.

Only the files on a list are sent. Everything else in an output folder stays here: pickles, the optimizer's state,
intermediate checkpoints, logs.
"""

import json
import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from lmrl_data.dataset.figure import figure_bytes
from lmrl_data.errors import UserError
from lmrl_data.hub import Published, check_repo_id, connect, present_text, publish
from lmrl_data.parsing import checked, parse_card, parse_yaml
from lmrl_eval.model_card import render_model_card
from lmrl_eval.policies.download import HUB_ID
from lmrl_eval.publication import check_no_secret, public_json, public_numbers
from lmrl_eval.training_record import (
    RECIPE,
    TRAINING,
    TrainingRecord,
    read_recipe,
    read_training_record,
    recipe_text,
    record_of_foreign_run,
)
from lmrl_eval.untrusted import TAG

CARD = "README.md"
CURVES = "figures/curves.png"
STATE = "trainer_state.json"
STATE_FIELDS = (
    "global_step",
    "max_steps",
    "epoch",
    "num_train_epochs",
    "best_metric",
    "best_global_step",
)
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
    "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model", "chat_template.jinja",
    "additional_chat_templates/*.jinja",
)  # fmt: skip
WEIGHTS = (
    "model.safetensors", "model-?????-of-?????.safetensors", "model.safetensors.index.json",
    "adapter_model.safetensors", "adapter_config.json",
    "value_model/config.json", "value_model/model.safetensors", "value_model/model-?????-of-?????.safetensors",
    "value_model/model.safetensors.index.json",
)  # fmt: skip
ABOUT = (TRAINING, RECIPE, CARD, "trainer_state.json", "figures/*.png")
SENT = ("config.json", "generation_config.json", *TOKENIZER, *WEIGHTS, *ABOUT)
REPLACED = (*TOKENIZER, *WEIGHTS, *ABOUT)  # removed from an older push that had more
VOCABULARY = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.model", "spiece.model")
CONFIGURATION = ("config.json", "*_config.json", "*/config.json", "special_tokens_map.json", "*.index.json")
COMMAND = re.compile(r"# (lmrl-train [a-z_]{1,40}|trl sft)\b")

Files = dict[str, Path | bytes]
Value = TypeVar("Value")


def push_checkpoint(
    folder: str | Path,
    repo_id: str,
    *,
    task: str | None = None,
    config: str | None = None,
    recipe: Path | None = None,
    algorithm: str | None = None,
    private: bool = False,
    create_pr: bool = False,
) -> Published:
    """Publishes a policy or an oracle that was trained here, with its card. Files the Hub has already are not sent.

    Args:
        folder (`str` or `Path`): the output folder of a recipe, or of `trl sft`.
        repo_id (`str`): the model repository, e.g. `"lmrl/maze-ilql-gpt2"`.
        task (`str`, *optional*), config (`str`, *optional*): what it plays, for a folder without `training.json`.
        recipe (`Path`, *optional*): the YAML of the training, for such a folder.
        algorithm (`str`, *optional*): the algorithm, for such a folder; `"bc"` by default.
        private (`bool`, *optional*, defaults to `False`): whether a new repository is private.
        create_pr (`bool`, *optional*, defaults to `False`): open a pull request.

    Raises:
        UserError: if the folder holds no complete checkpoint, nothing says what it was made from, a file holds a
            token, or the Hub refuses.
    """
    check_repo_id(repo_id)
    folder = Path(folder).expanduser()
    files = checkpoint_files(folder)
    record = read_training_record(folder)
    given = {"--task": task, "--config": config, "--recipe": recipe, "--algorithm": algorithm}
    flags = [name for name, value in given.items() if value is not None]
    if record is not None and flags:
        raise UserError(f"{folder / TRAINING} says what this was made from; leave out {', '.join(flags)}")
    card = _content(files[CARD]).decode("utf-8", errors="replace") if record is not None and CARD in files else None
    if record is None:
        record = _record_by_user(folder, task, config, recipe, algorithm)
        if recipe is not None:
            files[RECIPE] = recipe_text(read_recipe(recipe), "trl sft").encode()
    recorded = RECIPE in files
    generated = card is None or card == render_model_card(record, recipe=recorded)
    record = record.published()
    files[TRAINING] = record.to_json().encode()
    if (curves := _curves(folder)) is not None:
        files[CURVES] = curves
    if card is None or generated:
        # Now the repository and the figures are known, so the card is rendered anew. A card that its author changed is
        # sent as it is.
        figures = sorted(name for name in files if fnmatchcase(name, "figures/*.png"))
        card = render_model_card(record, recipe=recorded, repo=repo_id, figures=figures)
    files[CARD] = card.encode()
    for name in files:
        try:
            files[name] = _public_file(name, files[name])
        except ValueError as error:
            raise UserError(f"{folder / name}: {error}; restore the file that the run saved, or remove it") from None
    check_no_secrets(files)
    api = connect()
    return publish(
        api,
        repo_id,
        "model",
        lambda: files | {CARD: _with_scores(card, repo_id)},
        message=f"{record.task}: {record.algorithm}",
        private=private,
        create_pr=create_pr,
        replaces=REPLACED,
    )


def _record_by_user(
    folder: Path, task: str | None, config: str | None, recipe: Path | None, algorithm: str | None
) -> TrainingRecord:
    """The training record of a folder without one, by what the user says."""
    if task is None and recipe is None:
        raise UserError(
            f"{folder} has no {TRAINING}, so say what it was made from: the YAML it was trained by as --recipe, or "
            "--task and --config"
        )
    if algorithm is None and (folder / "value_model").is_dir():
        raise UserError(f"{folder} has a value model and no {TRAINING} that says what trained it; give --algorithm")
    return record_of_foreign_run({} if recipe is None else read_recipe(recipe), task, config, algorithm or "bc")


def _public_file(name: str, file: Path | bytes) -> Path | bytes:
    """A file as it is published; the user may have changed it.

    Raises:
        ValueError: if it is damaged.
    """
    if name == STATE:
        return _public_state(_content(file))
    if name == RECIPE:
        return _public_recipe(_content(file))
    if any(fnmatchcase(name, pattern) for pattern in CONFIGURATION):
        with checked("the configuration is damaged"):
            content = _content(file)
            changed = public_json(content)
            return file if changed == content else changed
    return file


def _public_state(content: bytes) -> bytes:
    """The log of a run and where it ended, which are numbers; no folder of the machine that it ran on."""
    with checked("the log of the run is damaged"):
        state = json.loads(content)
        history = [public_numbers(entry) for entry in state.get("log_history", ())]
        numbers = public_numbers({name: state[name] for name in STATE_FIELDS if name in state})
        return json.dumps({"log_history": history, **numbers}, indent=2).encode() + b"\n"


def _public_recipe(content: bytes) -> bytes:
    """A recipe with only what may be published."""
    first, _, rest = content.decode("utf-8", errors="replace").partition("\n")
    command = COMMAND.match(first)
    settings = parse_yaml(rest.encode()) if command else None
    if command is None or not isinstance(settings, dict):
        raise ValueError("a recipe is a comment with its command, lmrl-train or trl sft, and settings below it")
    return recipe_text(settings, command[1]).encode()


# --- the folder


def checkpoint_files(folder: Path) -> Files:
    """The files of a checkpoint that are published, by their path in it. All of them can be loaded.

    Raises:
        UserError: if it is no checkpoint, its weights are pickles or incomplete, or a file is a link out of it.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} does not exist; give the output folder of a training run")
    inside = folder.resolve()
    files: Files = {}
    for pattern in SENT:
        for path in sorted(folder.glob(pattern)):
            if not path.resolve().is_relative_to(inside):
                raise UserError(f"{path} is a link out of the folder; put the file itself there")
            if path.is_file():
                files[path.relative_to(folder).as_posix()] = path
    if "config.json" not in files and "adapter_config.json" not in files:
        raise UserError(f"{folder} is no checkpoint: it has no config.json; give the output folder of a training run")
    weights = [name for name in files if name.endswith(".safetensors")]
    for part in ("", "value_model/"):
        if part and not (folder / part).is_dir():
            continue
        if not any(name.rpartition("/")[0] == part.rstrip("/") for name in weights):
            pickled = [path.name for path in (folder / part).glob("*.[bp]*") if path.suffix in (".bin", ".pt", ".pth")]
            pickled = [name for name in pickled if name != "training_args.bin"]
            why = f"only {pickled[0]}, a pickle, which runs code; save it again as safetensors" if pickled else "none"
            raise UserError(f"{folder / part} has no weights in safetensors: {why}")
        _check_index(folder, part, weights)
    for name in weights:
        _check_weights(folder / name)
    if "adapter_config.json" in files:
        _check_adapter(folder / "adapter_config.json")
    return files


def _check_index(folder: Path, part: str, weights: list[str]) -> None:
    path = folder / f"{part}model.safetensors.index.json"
    if not path.is_file():
        return
    names = _read(path, lambda values: [str(name) for name in values["weight_map"].values()])
    missing = sorted(name for name in names if f"{part}{name}" not in weights)
    if missing:
        raise UserError(f"{path} names {missing[0][:80]}, which is not there; save the model again")


def _check_weights(path: Path) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            file.keys()
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is damaged ({str(error)[:100]}); save the model again") from None


def _check_adapter(path: Path) -> None:
    """Refuses adapters of a base model that only this machine has: nobody else could use them."""
    base = _read(path, lambda values: str(values["base_model_name_or_path"]))
    if Path(base).expanduser().exists() or not HUB_ID.fullmatch(base):
        raise UserError(
            f"{path.parent} holds adapters of {base[:80]!r}, which nobody else has: push that, put its id into "
            f"base_model_name_or_path of {path.name}, and push again"
        )


def _read(path: Path, pick: Callable[[Any], Value]) -> Value:
    """What `pick` takes from a JSON file."""
    try:
        with checked("damaged"):
            return pick(json.loads(path.read_text(encoding="utf-8")))
    except ValueError:
        raise UserError(f"{path} is damaged; save the model again") from None


def _content(file: Path | bytes) -> bytes:
    return file if isinstance(file, bytes) else file.read_bytes()


def check_no_secrets(files: Files) -> None:
    """Raises a `UserError` if a text that would be published contains what looks like a secret."""
    from huggingface_hub import get_token

    own = get_token()
    for name, content in files.items():
        if not name.endswith((".safetensors", ".png")):
            check_no_secret(name, _content(content), own, prose=name not in VOCABULARY)


# --- the card


def _curves(folder: Path) -> bytes | None:
    """The learning curves as a PNG, or `None` if nothing was logged. The same log makes the same bytes."""
    from lmrl_eval.curves import curves_figure, read_run, shown_panels

    run = read_run(folder, label="training")
    if run is None or not shown_panels([run]):
        return None
    return figure_bytes(curves_figure([run]))


def _with_scores(card: str, repo_id: str) -> bytes:
    """The card with the scores of the repository's present card."""
    import yaml

    old = present_text(repo_id, "model", CARD)
    try:
        old_head, old_text = parse_card(old or b"")
        head, text = parse_card(card.encode())
    except ValueError:
        return card.encode()
    if old is None or "model-index" not in old_head:
        return card.encode()
    tags = head.get("tags")
    tags = tags if isinstance(tags, list) else [] if tags is None else [tags]
    head |= {"model-index": old_head["model-index"], "tags": tags if TAG in tags else [*tags, TAG]}
    # A card that says the same in another order stays as it is.
    if (old_head, old_text) == (head, text):
        return old
    return f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n{text}".encode()
