"""Provenance: what a checkpoint was made from, in its `training.json`, from which its card is written."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePath
from typing import Any, Literal

from lmrl_data.errors import UserError
from lmrl_data.tasks import TASKS, get_task

TRAINING, RECIPE = "training.json", "recipe.yaml"
FORMAT = 1
LARGEST = 1 << 20  # bytes of a training.json
LIBRARIES = ("lmrl", "torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "datasets", "numpy")
# Where a run goes and who may write there is nobody else's business, and no part of what was trained.
PRIVATE = re.compile(r"env|push_to_hub.*|hub_.*|resume_from_checkpoint|(.*_)?(token|api_key|password|secret)")
TOKENS = ("eos_token", "pad_token")  # of a tokenizer


@dataclass(frozen=True)
class Provenance:
    """What a checkpoint was made from.

    Args:
        task (`str`), task_version (`str`), config (`str`): what it plays, or whom it speaks for.
        algorithm (`str`): the recipe, e.g. `"ilql"`.
        base_model (`str`, *optional*): what it started from, where that is known.
        dataset (`str`): what it learned from, or is compared with.
        dataset_revision (`str`, *optional*): a commit on the Hub; of a local build the version, e.g. `"v1.0.0"`.
        dataset_fingerprint (`str`, *optional*): a checksum of a local build's files.
        seed (`int`, *optional*): of the run.
        versions (`dict[str, str]`): of the libraries that trained it; empty where that was not recorded.
        settings (`dict`): those that are not the recipe's defaults.
        limitations (`str`): Markdown of our own, for the card.
        n_examples (`int`, *optional*): of a simulator, how many examples it learned from.
        kind (`str`): `"policy"`, or `"simulator"` for a model that speaks for the other side.

    Raises:
        ValueError: if a field has the wrong type, or there is no such task or config.
    """

    task: str
    task_version: str
    config: str
    algorithm: str
    base_model: str | None
    dataset: str
    dataset_revision: str | None = None
    dataset_fingerprint: str | None = None
    seed: int | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    limitations: str = ""
    n_examples: int | None = None
    kind: Literal["policy", "simulator"] = "policy"

    def __post_init__(self) -> None:
        # It is also read from files that others wrote.
        optional = ("base_model", "dataset_revision", "dataset_fingerprint")
        for name in ("task", "task_version", "config", "algorithm", "dataset", "limitations", *optional):
            value = getattr(self, name)
            if not isinstance(value, str) and not (value is None and name in optional):
                raise ValueError(f"{name} is a text, got {value!r}")
            if name != "limitations" and value and (len(value) > 200 or not value.isprintable()):
                raise ValueError(f"{name} is a short text on one line, got {value!r}")
        for name in ("seed", "n_examples"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise ValueError(f"{name} is a whole number, got {value!r}")
        if not isinstance(self.versions, Mapping) or not all(isinstance(each, str) for each in self.versions.values()):
            raise ValueError(f"versions are texts by library, got {self.versions!r}")
        if not isinstance(self.settings, Mapping):
            raise ValueError(f"settings are values by name, got {self.settings!r}")
        if self.kind not in ("policy", "simulator"):
            raise ValueError(f"kind is policy or simulator, got {self.kind!r}")
        get_task(self.task).config(self.config)

    def to_json(self) -> str:
        """The text of a `training.json`; `from_json` is its inverse."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=2, default=str, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Provenance":
        """What a `training.json` says.

        Raises:
            ValueError: if the text is none.
        """
        values = json.loads(text)
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}")
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(str(error).replace("Provenance.__init__()", "provenance")) from None

    def card(self, *, recipe: bool = False, repo: str | None = None, figures: Sequence[str] = ()) -> str:
        """The README of the checkpoint.

        Args:
            recipe (`bool`, *optional*, defaults to `False`): whether its `recipe.yaml` lies beside it.
            repo (`str`, *optional*): where it will be found.
            figures (`Sequence[str]`, *optional*): paths of pictures beside it.
        """
        from lmrl_data.dataset.card import render_model_card, render_simulator_card

        facts: dict[str, Any] = {
            "base_model": self.base_model or "not recorded",
            "dataset": self.dataset,
            "dataset_revision": self.dataset_revision,
            "dataset_fingerprint": self.dataset_fingerprint,
            "seed": self.seed,
            "versions": self.versions,
            "recipe": RECIPE if recipe else None,
            "repo": repo,
            "figures": figures,
        }
        task, settings = get_task(self.task), dict(self.settings)
        if self.kind == "simulator":
            return render_simulator_card(
                task, config=self.config, n_examples=self.n_examples or 0, hyperparameters=settings, **facts
            )
        return render_model_card(
            task,
            algorithm=self.algorithm,
            hyperparameters={"dataset_config": self.config, **settings},
            scores=[],
            limitations=self.limitations,
            **facts,
        )


def running_versions() -> dict[str, str]:
    """The versions of the libraries that a training can depend on, of those that are installed."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def read_provenance(folder: Path) -> Provenance | None:
    """What the `training.json` of a checkpoint says; `None` if it has none.

    Raises:
        UserError: if it is damaged.
    """
    path = folder / TRAINING
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        return Provenance.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        from lmrl_eval.report import plain

        raise UserError(f"{path} is damaged ({plain(str(error), 100)}); restore or remove it") from None


# --- settings


def public(value: Any) -> Any:
    """A setting as others may read it: of an absolute path only its last name, nothing secret, plain JSON.

    Examples:
        >>> public({"model": "/home/me/runs/bc", "oracle": "lm:/home/me/o", "hub_token": "x", "rate": 0.1})
        {'model': 'bc', 'oracle': 'lm:o', 'rate': 0.1}
    """
    if isinstance(value, Mapping):
        return {str(key): public(each) for key, each in value.items() if not is_private(str(key))}
    if isinstance(value, list | tuple):
        return [public(each) for each in value]
    if isinstance(value, str) and not isinstance(value, Enum):
        kind = "lm:" if value.startswith("lm:") else ""  # an oracle's folder
        path = PurePath(value.removeprefix(kind))
        return f"{kind}{path.name}" if path.is_absolute() else value
    if isinstance(value, Enum):
        return public(value.value)
    if isinstance(value, bool | int | None) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return str(value)


def is_private(name: str) -> bool:
    """Whether a setting of this name is left out wherever settings are written."""
    return bool(PRIVATE.fullmatch(name)) and name not in TOKENS


def recipe_text(settings: Mapping[str, Any], command: str) -> str:
    """A recipe that can be passed to `--config` again.

    Args:
        settings (`Mapping`): what a run was started with.
        command (`str`): who reads it, e.g. `"trl sft"`.
    """
    import yaml

    return f"# {command} --config {RECIPE}\n" + yaml.safe_dump(
        public(settings), sort_keys=False, allow_unicode=True, width=120
    )


def from_recipe(path: Path) -> dict[str, Any]:
    """The settings in a recipe's YAML.

    Raises:
        UserError: if it is none.
    """
    import yaml

    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        settings = None
    if not isinstance(settings, dict):
        raise UserError(f"{path} is no recipe: give the YAML file that the run was started with")
    return {str(name): value for name, value in settings.items()}


def cloned(settings: Mapping[str, Any], task: str | None, config: str | None, algorithm: str) -> Provenance:
    """The provenance of a run that left none, such as one of `trl sft`, as its recipe and the user say.

    Raises:
        UserError: if it cannot be told what the checkpoint plays.
    """
    dataset = settings.get("dataset_name") or f"lmrl/{task or settings.get('task')}"
    task = task or str(settings.get("task") or PurePath(str(dataset)).name)
    if task not in TASKS:
        known = ", ".join(TASKS)
        raise UserError(f"it is not said what is played: {task[:80]!r} is no task; give --task, one of: {known}")
    config = config or settings.get("dataset_config") or settings.get("task_config") or get_task(task).default_config
    seed = settings.get("seed")
    base = settings.get("model_name_or_path")
    model_or_data = ("model_name_or_path", "dataset_name", "dataset_config", "task", "task_config", "seed")
    return Provenance(
        task=task,
        task_version=get_task(task).version,
        config=str(config).removesuffix("_steps"),
        algorithm=algorithm,
        base_model=None if base is None else public(str(base)),
        dataset=public(str(dataset)),
        seed=seed if isinstance(seed, int) else None,
        settings={
            name: value
            for name, value in public(settings).items()
            if name not in model_or_data and "dir" not in name and name not in ("report_to", "disable_tqdm")
        },
        limitations=(
            "The policy imitates the episodes it was given: where those never went it has nothing to imitate."
            if algorithm == "bc"
            else "How it was trained is not recorded beyond what is said above."
        ),
    )
