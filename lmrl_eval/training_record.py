"""The training record: what a checkpoint was made from, as its `training.json` and its card say."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, Literal, Self

from lmrl_data.errors import UserError
from lmrl_data.parsing import parse_yaml
from lmrl_data.tasks import TASKS, get_task
from lmrl_data.text import one_line
from lmrl_eval.publication import public, public_settings
from lmrl_eval.record import Record

TRAINING, RECIPE = "training.json", "recipe.yaml"
FORMAT = 1
LARGEST = 1 << 20  # bytes of a training.json
LIBRARIES = ("lmrl", "torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "datasets", "numpy")


@dataclass(frozen=True)
class TrainingRecord(Record):
    """What a checkpoint was made from, as in its `training.json`.

    Args:
        task (`str`), task_version (`str`), config (`str`): the task that a policy plays or an oracle speaks in.
        algorithm (`str`): the recipe, e.g. `"ilql"`.
        base_model (`str`, *optional*): the model that training started from, where it is known.
        dataset (`str`): the dataset of the training, or of the comparison.
        dataset_revision (`str`, *optional*): a commit on the Hub, or the version of a local build, e.g. `"v1.0.0"`.
        dataset_fingerprint (`str`, *optional*): a checksum of the files of a local build.
        seed (`int`, *optional*): seed of the run.
        versions (`dict[str, str]`): versions of the libraries that trained it; empty where they were not recorded.
        settings (`dict`): settings that differ from the recipe's defaults.
        limitations (`str`): Markdown for the card.
        prompt_frame_sha256 (`str`, *optional*): a digest of the texts that the chat template writes around turns.
        thinking (`bool`, *optional*): `False` if the chat template could let the model think and it was trained
            without.
        n_examples (`int`, *optional*): number of examples that an oracle learned from.
        kind (`str`): `"policy"`, or `"oracle"` for a model that speaks for the other side.
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
    versions: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    limitations: str = ""
    prompt_frame_sha256: str | None = None
    thinking: bool | None = None
    n_examples: int | None = None
    kind: Literal["policy", "oracle"] = "policy"

    def check(self) -> None:
        for name, value in vars(self).items():
            long = isinstance(value, str) and (len(value) > 200 or not value.isprintable())
            if long and name != "limitations":
                raise ValueError(f"{name} must be a short text on one line, got {value!r}")
        get_task(self.task).config(self.config)

    def to_dict(self) -> dict[str, Any]:
        return {"format": FORMAT} | super().to_dict()

    def published(self) -> Self:
        """The record as it is published: its user may have changed it, or an older version have written it."""
        texts = ("task_version", "config", "algorithm", "base_model", "dataset", "dataset_revision")
        changed: dict[str, Any] = {name: public(getattr(self, name)) for name in (*texts, "versions")}
        return replace(self, **changed, settings=public_settings(self.settings))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        if values.get("format") != FORMAT:
            raise ValueError(f"it is not of format {FORMAT}")
        fields = {name: value for name, value in values.items() if name != "format"}
        if fields.get("kind") == "simulator":  # the old name
            fields["kind"] = "oracle"
        return cls(**fields)


def read_training_record(folder: Path) -> TrainingRecord | None:
    """The record in the `training.json` of a checkpoint; `None` without that file.

    Raises:
        UserError: if the file is damaged.
    """
    path = folder / TRAINING
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        return TrainingRecord.from_json(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is damaged ({one_line(str(error), 100)}); restore or remove it") from None


# --- settings


def recipe_text(settings: Mapping[str, Any], command: str) -> str:
    """A recipe that can be passed to `--config`.

    Args:
        settings (`Mapping`): the settings that a run was started with.
        command (`str`): the command that reads the recipe, e.g. `"trl sft"`.
    """
    import yaml

    return f"# {command} --config {RECIPE}\n" + yaml.safe_dump(
        public_settings(settings), sort_keys=False, allow_unicode=True, width=120
    )


def read_recipe(path: Path) -> dict[str, Any]:
    """The settings in a recipe's YAML.

    Raises:
        UserError: if the file is not a recipe.
    """
    try:
        settings = parse_yaml(path.read_bytes())
    except (OSError, ValueError):
        settings = None
    if not isinstance(settings, dict):
        raise UserError(f"{path} is no recipe: give the YAML file that the run was started with")
    return {str(name): value for name, value in settings.items()}


def record_of_foreign_run(
    settings: Mapping[str, Any], task: str | None, config: str | None, algorithm: str
) -> TrainingRecord:
    """The training record of a run that left none, such as one of `trl sft`, as its recipe and the user say.

    Raises:
        UserError: if the task is not known.
    """
    dataset = settings.get("dataset_name") or f"lmrl/{task or settings.get('task')}"
    task = task or str(settings.get("task") or PurePath(str(dataset)).name)
    if task not in TASKS:
        known = ", ".join(TASKS)
        raise UserError(f"the task is not known: {task[:80]!r} is no task; give --task, one of: {known}")
    config = config or settings.get("dataset_config") or settings.get("task_config") or get_task(task).default_config
    seed = settings.get("seed")
    base = settings.get("model_name_or_path")
    model_or_data = ("model_name_or_path", "dataset_name", "dataset_config", "task", "task_config", "seed")
    config = str(config).removesuffix("_steps")
    get_task(task).config(config)
    return TrainingRecord(
        task=task,
        task_version=get_task(task).version,
        config=config,
        algorithm=algorithm,
        base_model=None if base is None else public(str(base)),
        dataset=public(str(dataset)),
        seed=seed if isinstance(seed, int) else None,
        settings={
            name: value
            for name, value in public_settings(settings).items()
            if name not in model_or_data and "dir" not in name and name not in ("report_to", "disable_tqdm")
        },
        limitations=(
            "The policy imitates the episodes it was given: where those never went it has nothing to imitate."
            if algorithm == "bc"
            else "How it was trained is not recorded beyond what is said above."
        ),
    )
