"""The publication of a dataset: a finished build becomes a repository on the Hub, tagged with the task's version."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.dataset.folder import MANIFEST, dataset_manifest, shard_paths
from lmrl_data.dataset.plan import dataset_configs
from lmrl_data.errors import UserError
from lmrl_data.hub import Published, check_repo_id, connect, fetch, hub_errors, persistently, publish
from lmrl_data.task import Task
from lmrl_data.text import one_line

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAX_MANIFEST = 16 << 20  # bytes
TAG = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")

NO_TAG = re.compile(r"main|head|[0-9a-f]{40}", re.IGNORECASE)
MAX_TAGS = 100  # of which the data is compared


def version_tag(task: Task) -> str:
    """The tag of a task's data, e.g. `v1.0.0`."""
    return f"v{task.version}"


def push_dataset(
    task: Task,
    folder: Path,
    repo_id: str,
    *,
    private: bool = False,
    create_pr: bool = False,
    revision_tag: str | None = None,
) -> Published:
    """Publishes a local build: Parquet, card, `eval.yaml`, figures and notices, then the tag.

    Args:
        task (`Task`): whose data it is.
        folder (`Path`): the finished build.
        repo_id (`str`): the dataset repository, e.g. `"lmrl/maze"`.
        private (`bool`, *optional*, defaults to `False`): of a repository that is made.
        create_pr (`bool`, *optional*, defaults to `False`): as a pull request. It is not tagged; the same command
            without `create_pr`, run by someone with the right to, does that after the merge.
        revision_tag (`str`, *optional*): the tag; the task's version by default.

    Raises:
        UserError: if the build is unfinished or not of this version, the tag or the repository holds other data of
            this version, or the Hub refuses.
    """
    check_repo_id(repo_id)
    manifest, shards = _finished(task, folder)
    tag = version_tag(task) if revision_tag is None else revision_tag
    # What git does not take as a tag, and what would be read as a branch or a commit.
    if not TAG.fullmatch(tag) or ".." in tag or tag.endswith(".lock") or NO_TAG.fullmatch(tag):
        raise UserError(
            f"{tag[:80]!r} cannot be a tag; give letters, digits, '.', '_' and '-' as --revision-tag, "
            f"e.g. {version_tag(task)}-small"
        )
    api = connect()
    from lmrl_data.dataset.contents import published_files

    files: dict[str, Path | bytes] = {**published_files(task, folder, repo_id, tag), **shards}
    files[MANIFEST] = (folder / MANIFEST).read_bytes()
    published = publish(
        api,
        repo_id,
        "dataset",
        files,
        message=f"{task.id} {tag}",
        private=private,
        create_pr=create_pr,
        replaces=[
            "croissant.json",  # of release 1.0; the Hub serves its own
            *(f"{name}/*-?????-of-?????.parquet" for config in task.configs for name in dataset_configs(task, config)),
        ],
        marker=MANIFEST,
        checksums={path: entry["sha256"] for path, entry in manifest["shards"].items()},
        guard=lambda: _check_version(api, repo_id, tag, Data.of(manifest)),
    )
    if published.pull_request is None:
        with hub_errors(repo_id):
            persistently(lambda: _tag(api, repo_id, tag, published.commit, Data.of(manifest)))
    return published


def _finished(task: Task, folder: Path) -> tuple[dict[str, Any], dict[str, Path]]:
    """The manifest of a build, and its shards by their path, which are all there."""
    manifest = dataset_manifest(folder, task.id)
    if "sources" in manifest:
        raise UserError(f"{folder} holds converted files of the original release, which states no licence to publish")
    for name, ours in (("task", task.id), ("task_version", task.version)):
        if manifest[name] != ours:
            raise UserError(
                f"{folder} was built with {name} {manifest[name]!r}, which is now {ours!r}; build it again"
            )
    paths = [
        path
        for config, splits in manifest["configs"].items()
        for name in dataset_configs(task, config)
        for split in splits
        for path in shard_paths(folder, manifest, name, split, check=False)
    ]
    if not paths or not (folder / "README.md").is_file():
        raise UserError(f"{folder} is not finished; `lmrl-data build {task.id}` goes on with it")
    return manifest, {path.relative_to(folder).as_posix(): path for path in paths}


def _tags(api: "HfApi", repo_id: str) -> dict[str, str]:
    refs = api.list_repo_refs(repo_id, repo_type="dataset")
    return {ref.name: ref.target_commit for ref in refs.tags}


def _tag(api: "HfApi", repo_id: str, tag: str, commit: str, ours: "Data") -> None:
    """Tags a commit, or finds the tag there.

    Raises:
        UserError: if it names other data: two pushes with one tag went on at once, and the other one was faster.
    """
    if tag not in _tags(api, repo_id):
        api.create_tag(repo_id, repo_type="dataset", tag=tag, revision=commit, exist_ok=True)
    if _tags(api, repo_id).get(tag) != commit and _read_data(repo_id, tag) != ours:
        raise UserError(
            f"{repo_id} holds this data now, and somebody else has just tagged other data as {tag}: push again with "
            "another --revision-tag"
        )


class Data(NamedTuple):
    """What a manifest says of the data beside it."""

    task: object
    version: object
    shards: dict[str, object]  # checksums by path

    @classmethod
    def of(cls, manifest: Any) -> "Data":
        shards = {path: entry["sha256"] for path, entry in manifest["shards"].items()}
        return cls(manifest.get("task"), manifest.get("task_version"), shards)


def _read_data(repo_id: str, revision: str) -> Data | None:
    """The data that a revision holds; `None` if that is no dataset of ours."""
    from huggingface_hub.errors import RemoteEntryNotFoundError, RevisionNotFoundError

    try:
        content = fetch(repo_id, "dataset", MANIFEST, revision, MAX_MANIFEST)
    except (RemoteEntryNotFoundError, RevisionNotFoundError):  # the tag may be gone by now
        return None
    try:
        return Data.of(json.loads(content))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _check_version(api: "HfApi", repo_id: str, tag: str, ours: Data) -> None:
    """Refuses to put other data under a version that is out; cards may change, data may not."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        tags = _tags(api, repo_id)
    except RepositoryNotFoundError:
        return  # it will be made
    main = _read_data(repo_id, "main")
    if main and main.task != ours.task:
        raise UserError(f"{repo_id} holds data of the task {one_line(main.task)}; choose another repository")
    if tag in tags:
        if _read_data(repo_id, tag) != ours:
            raise UserError(
                f"{repo_id} has published {tag} with other data, and a version never changes: raise the task's "
                "version, or choose another --revision-tag"
            )
        if main != ours:
            raise UserError(f"{repo_id} has {tag} with this data, and main is newer: there is nothing to push")
    elif (
        main
        and main != ours
        and main.version == ours.version
        and not any(_read_data(repo_id, name) == main for name in list(tags)[:MAX_TAGS])
    ):
        raise UserError(
            f"{repo_id} holds other data of version {ours.version} that has no tag yet: tag or remove that, "
            "or choose another repository"
        )
