"""How every recipe ends: it saves the policy with its card and its training record, and pushes them if asked to."""

import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset

from lmrl_data import UserError, get_task
from lmrl_data.atomic import write_text
from lmrl_data.dataset.folder import read_manifest
from lmrl_data.tokenization import read_frame
from lmrl_eval.hub.push_checkpoint import push_checkpoint
from lmrl_eval.model_card import render_model_card
from lmrl_eval.policies.value_guided import VALUE_FOLDER
from lmrl_eval.publication import public, published_settings
from lmrl_eval.record import installed_versions
from lmrl_eval.training_record import (
    LIBRARIES,
    RECIPE,
    TRAINING,
    TrainingRecord,
    recipe_text,
)

# datasets caches files from the Hub in a folder named after the commit.
COMMIT_FOLDER = re.compile(r"[0-9a-f]{40}")


# --- before


class Target(NamedTuple):
    """Where a finished run is pushed."""

    repo_id: str
    private: bool


def push_target(args: Any, adapters_of: str | None = None) -> Target | None:
    """Where the settings want the run to be pushed; turns transformers' own pushing off.

    Transformers would push every checkpoint, with all that a resumed run needs, and a card of its own.

    Args:
        args (`TrainingArguments`): of the run.
        adapters_of (`str`, *optional*): the base model, if the run saves adapters only.

    Raises:
        UserError: for settings with which the push would fail at the end.
    """
    if args.hub_token is not None:
        raise UserError("hub_token does not belong in a recipe: leave it out and run `hf auth login`")
    if not args.push_to_hub:
        return None
    args.push_to_hub = False
    if adapters_of is not None and Path(adapters_of).exists():
        raise UserError(
            f"nobody else can use adapters of {adapters_of}, a folder of this machine: push that first and train from "
            "its id, or leave push_to_hub out"
        )
    if args.process_index:
        return None
    from lmrl_data.hub import check_repo_id, connect, hub_errors

    api = connect()
    repo_id = args.hub_model_id or Path(args.output_dir).resolve().name
    if "/" not in repo_id:
        with hub_errors(repo_id):
            repo_id = f"{api.whoami()['name']}/{repo_id}"
    return Target(check_repo_id(repo_id), bool(args.hub_private_repo))


# --- what was trained


class Data(NamedTuple):
    """The dataset of a run: its name, and the revision or the checksum that pins it, as in `TrainingRecord`."""

    name: str
    task: str
    config: str
    revision: str | None = None
    fingerprint: str | None = None


def data_of(script_args: Any, rows: Dataset) -> Data:
    """The dataset of the loaded rows, with its commit on the Hub or the checksum of a local build."""
    from lmrl_data.dataset.contents import checksums

    name, task, config = str(script_args.dataset_name), rows[0]["task"], rows[0]["config"]
    manifest = read_manifest(Path(name))
    if manifest is not None:
        found = checksums(get_task(task), manifest, manifest["configs"])
        return Data(name, task, config, f"v{manifest['task_version']}", found.get(config))
    folders = {part for file in rows.cache_files for part in Path(file["filename"]).parts}
    commits = [part for part in folders if COMMIT_FOLDER.fullmatch(part)]
    return Data(name, task, config, commits[0] if len(commits) == 1 else None)


def changed_settings(args: Any) -> dict[str, Any]:
    """The settings that differ from the recipe's defaults, without paths and possible secrets."""
    hidden = ("dir", "report_to", "tqdm", "debug", "pin_memory")  # the last one sets itself
    names = published_settings()
    return {
        setting.name: public(getattr(args, setting.name))
        for setting in fields(args)
        if setting.name in names
        and not any(word in setting.name for word in hidden)
        and setting.default is not MISSING
        # `None`, `False`, 0 and "" all mean off, so they are no changes of each other.
        and (getattr(args, setting.name) or None) != (setting.default or None)
    }


def training_record(args: Any, algorithm: str, data: Data, model_args: Any, **facts: Any) -> TrainingRecord:
    """The training record of a run."""
    return TrainingRecord(
        task=data.task,
        task_version=get_task(data.task).version,
        config=data.config,
        algorithm=algorithm,
        base_model=public(str(model_args.model_name_or_path)),
        dataset=public(data.name),
        dataset_revision=data.revision,
        dataset_fingerprint=data.fingerprint,
        seed=args.seed,
        versions=installed_versions(LIBRARIES),
        settings=changed_settings(args),
        **facts,
    )


# --- after


def finish(
    trainer: Any, record: TrainingRecord, target: Target | None, recipe: Mapping[str, Any] | None = None
) -> None:
    """Saves the model with its card and everything a push sends, and pushes it.

    Args:
        trainer (`Trainer`): of the run that has ended.
        record (`TrainingRecord`): what the checkpoint was made from.
        target (`Target`, *optional*): where to push it.
        recipe (`Mapping`, *optional*): the settings the run was started with, without the defaults.
    """
    folder = Path(trainer.args.output_dir)
    trainer.save_model(str(folder))
    trainer.save_state()  # the log, for `lmrl-eval report --curves`
    if trainer.accelerator.is_main_process:
        if not hasattr(trainer, "plain_value_model"):  # of a run that was here before
            shutil.rmtree(folder / VALUE_FOLDER, ignore_errors=True)
        for name in ("trainer_state.safetensors", "training_args.bin"):  # for resuming only; the second is a pickle
            (folder / name).unlink(missing_ok=True)
        write_about(folder, replace(record, **read_frame(trainer.processing_class).facts()), recipe)
        print(f"{folder} is saved; measure it with: {next_command(folder, record)}")
    trainer.accelerator.wait_for_everyone()
    trainer.end()
    if target is not None:
        push(folder, target)


def next_command(folder: Path, record: TrainingRecord) -> str:
    """The command that measures a checkpoint of a run."""
    if record.kind == "oracle":
        return shlex.join(["lmrl-eval", "oracle", "--task", record.task, "--oracle", f"lm:{folder}"])
    play = ["lmrl-eval", "run", "--task", record.task, "--config", record.config, "--policy", str(folder)]
    return shlex.join(play)


def write_about(folder: Path, record: TrainingRecord, recipe: Mapping[str, Any] | None) -> None:
    """Writes `training.json`, the card made from it, and the recipe, if there is one."""
    write_text(folder / TRAINING, record.to_json())
    write_text(folder / "README.md", render_model_card(record, recipe=recipe is not None))
    (folder / RECIPE).unlink(missing_ok=True)
    if recipe is not None:
        script = f"lmrl-train {record.algorithm}"
        write_text(folder / RECIPE, recipe_text(recipe, script))


def push(folder: Path, target: Target) -> None:
    """Pushes a saved run; if that fails, the run is not lost.

    Raises:
        UserError: if it fails; the message has the command that pushes the run later.
    """
    try:
        published = push_checkpoint(folder, target.repo_id, private=target.private)
    except UserError as error:
        by_hand = f"lmrl-eval push-model {folder} --model {target.repo_id}" + " --private" * target.private
        raise UserError(f"{error}; the run is saved, push it with: {by_hand}") from None
    print(published.describe())
