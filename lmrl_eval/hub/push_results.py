"""The publication of a score: the episodes as a dataset anyone can audit, and an entry in the model's repository.

The episodes lie in a folder that is named by their digest. So an entry that links to the folder says which bytes it
is of, and what was published once is never overwritten.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from lmrl_data.dataset.card import leaderboard_id, task_page, templates
from lmrl_data.errors import UserError
from lmrl_data.hub import Published, check_repo_id, connect, hub_errors, persistently, present_text, publish, repo_url
from lmrl_data.task import Task
from lmrl_data.tasks import get_task
from lmrl_data.text import one_line
from lmrl_eval.report import oracle_name
from lmrl_eval.results import ACTIONS, EPISODES, SCORE, TIMING, read_results
from lmrl_eval.score import Score
from lmrl_eval.training_record import TRAINING, TrainingRecord, public
from lmrl_eval.verify import Verification, verify_results

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, EvalResultEntry, HfApi

TAG = "lmrl-gym"  # by which models with our scores are found
CARD = "README.md"
PINNED = (SCORE, EPISODES, ACTIONS)  # the digest is of these; the timing differs from run to run
EPISODES_PATH = re.compile(r"[a-z0-9_]{1,80}/[0-9a-f]{16}")


class Pushed(NamedTuple):
    """What a push of results did: how they were verified, and what was published where."""

    verification: Verification
    episodes: Published
    model: Published


def digest(files: Mapping[str, bytes]) -> str:
    """The name of the folder that holds these files: 16 hexadecimal digits of a SHA-256 over the `PINNED` ones."""
    found = hashlib.sha256()
    for name in PINNED:
        found.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return found.hexdigest()[:16]


# --- what is published


def published_score(score: Score, model: str) -> Score:
    """The score as strangers see it: a folder of this machine is nobody's business, nor the path of an address, which
    some proxies keep a key in."""
    checkpoint, oracle = score.checkpoint, score.oracle
    if checkpoint is not None:
        checkpoint = {**public(checkpoint), "source": model}
    if oracle is not None:
        name, at, url = str(oracle["spec"]).partition("@http")
        parts = urlsplit(f"http{url}")
        address = f"@{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if at else ""
        oracle = {**public(oracle), "spec": f"{public(name)}{address}"}
    return replace(score, checkpoint=checkpoint, oracle=oracle, options=public(score.options))


def notes(score: Score) -> str:
    """What the one number of an entry leaves out."""
    low, high = score.interval
    parts = [
        f"mean return {score.mean_return:.2f} ({score.confidence_level:.0%} interval {low:.2f} to {high:.2f})",
        f"{score.n_episodes} episodes from seed {score.seed}",
        f"protocol {score.protocol}",
        *(f"option {name}={json.dumps(value)}" for name, value in sorted(score.options.items())),
        f"policy {score.policy}",
        *([] if score.policy_seed is None else [f"policy seed {score.policy_seed}"]),
        *([f"oracle {oracle_name(score)}"] if score.oracle else []),
        f"task version {score.task_version}",
    ]
    return one_line("; ".join(one_line(part, 120) for part in parts), 600)


def merge_entries(old: bytes | None, entry: "EvalResultEntry") -> bytes:
    """A file of `.eval_results` with this entry in place of an older one of the same benchmark; all others stay.

    Raises:
        ValueError: if the old file is none.
    """
    import yaml
    from huggingface_hub import eval_result_entries_to_yaml

    (new,) = eval_result_entries_to_yaml([entry])
    try:
        entries = yaml.safe_load(old) if old else []
        names = [(each["dataset"]["id"], each["dataset"]["task_id"]) for each in entries]
    except (yaml.YAMLError, TypeError, KeyError, IndexError, RecursionError):
        raise ValueError("it is no list of evaluation results") from None
    places = [place for place, name in enumerate(names) if name == (entry.dataset_id, entry.task_id)]
    if old is not None and [entries[place] for place in places] == [new]:
        return old
    first = places[0] if places else len(entries)
    others = [each for place, each in enumerate(entries) if place not in places]
    merged = [*others[:first], new, *others[first:]]
    return yaml.safe_dump(merged, sort_keys=False, allow_unicode=True).encode()


def merge_card(old: bytes | None, model: str, task: Task, results: "list[EvalResult]") -> bytes:
    """A model's card with these results in its `model-index` and our tag; the text below its head stays as it is.

    Raises:
        ValueError: if the old card has no head that can be read.
    """
    import yaml
    from huggingface_hub import ModelCard

    name = model.rpartition("/")[2]
    text = f"---\npipeline_tag: text-generation\n---\n\n# {name}\n\nA policy that plays {task_page(task).title}.\n"
    if old is not None:
        text = old.decode("utf-8-sig")
        if not text.lstrip().startswith("---"):
            text = f"---\n\n---\n{text}"
    try:
        card: Any = ModelCard(text)
        before = card.data.to_dict()
        # Benchmark by benchmark, each where it was.
        kept = list(card.data.eval_results or [])
        places = [place for place, each in enumerate(kept) if _benchmark(each) == _benchmark(results[0])]
        first = places[0] if places else len(kept)
        others = [each for place, each in enumerate(kept) if place not in places]
        card.data.eval_results = [*others[:first], *results, *others[first:]]
        card.data.model_name = card.data.model_name or name
        card.data.tags = list(dict.fromkeys([*(card.data.tags or []), TAG]))
        if old is not None and card.data.to_dict() == before:
            return old
        return str(card).encode()
    except (yaml.YAMLError, TypeError, AttributeError, RecursionError):
        raise ValueError("its head is no YAML of a model card") from None


def _benchmark(result: "EvalResult") -> tuple[object, ...]:
    return result.task_type, result.dataset_type, result.dataset_config


def _index_results(score: Score, task: Task, dataset: str, source: str) -> "list[EvalResult]":
    from huggingface_hub import EvalResult

    values = {"normalized_score": score.normalized, "mean_return": score.mean_return}
    return [
        EvalResult(
            task_type="reinforcement-learning", dataset_type=dataset, dataset_name=task_page(task).title,
            dataset_config=score.config, metric_type=name, metric_value=round(value, 2),
            metric_name=name.replace("_", " "), source_name="LMRL-Gym episodes", source_url=source,
        )
        for name, value in values.items()
    ]  # fmt: skip


def episodes_card(old: bytes | None, model: str, repo_id: str, path: str) -> bytes:
    """The card of the episodes of a model: for each config the folder that was pushed last.

    Args:
        old (`bytes`, *optional*): the card that is there.
        model (`str`), repo_id (`str`): checked ids of the model and of the dataset.
        path (`str`): the folder that is pushed now.

    Raises:
        UserError: if the repository holds something else.
    """
    import yaml

    configs = _episode_configs(old, model, repo_id) if old is not None else {}
    configs[path.partition("/")[0]] = path
    head = {
        "pretty_name": f"Episodes of {model}",
        "task_categories": ["reinforcement-learning", "text-generation"],
        "tags": [TAG, "lmrl-gym-episodes"],
        "model": model,
        "configs": [
            {"config_name": name, "data_files": [{"split": "test", "path": f"{configs[name]}/{EPISODES}"}]}
            for name in sorted(configs)
        ],
    }
    text = (
        templates()
        .get_template("episodes.md.jinja")
        .render(model=model, repo_id=repo_id, url=repo_url(repo_id, "dataset"), configs=configs)
    )
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n{text}".encode()


def _episode_configs(old: bytes, model: str, repo_id: str) -> dict[str, str]:
    import yaml
    from huggingface_hub import DatasetCard

    try:
        data: Any = DatasetCard(old.decode("utf-8")).data
        if data.get("model") == model:
            paths = [each["data_files"][0]["path"].rpartition("/")[0] for each in data.get("configs")]
            return {path.partition("/")[0]: path for path in paths if EPISODES_PATH.fullmatch(path)}
    except (ValueError, yaml.YAMLError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        pass
    raise UserError(f"{repo_id} holds something else than the episodes of {model}; name another --episodes-repo")


# --- pushing


def push_results(
    folder: str | Path,
    model: str,
    *,
    namespace: str = "lmrl",
    create_pr: bool = False,
    private: bool = False,
    episodes_repo: str | None = None,
    progress: bool = False,
) -> Pushed:
    """Publishes results: the episodes, then the entry and the card of the model in one commit.

    The same results pushed again change nothing.

    Args:
        folder (`str` or `Path`): what `lmrl-eval run` wrote.
        model (`str`): the model's repository, which is there already.
        namespace (`str`, *optional*, defaults to `"lmrl"`): whose datasets the benchmarks are.
        create_pr (`bool`, *optional*, defaults to `False`): as a pull request, for a model that is not ours. The
            episodes then go to a dataset of our own.
        private (`bool`, *optional*, defaults to `False`): of the dataset with the episodes, if it is made.
        episodes_repo (`str`, *optional*): this dataset; `<owner>/<model>-lmrl-episodes` by default.
        progress (`bool`, *optional*, defaults to `False`): whether to show a bar while the episodes are replayed.

    Raises:
        UserError: if there are no results, replaying them gives something else, another algorithm trained the model,
            or the Hub refuses.
    """
    check_repo_id(model)
    folder = Path(folder)
    results = read_results(folder)
    task = get_task(results.score.task)
    check_repo_id(f"{namespace}/{task.id}")
    config = leaderboard_id(task, results.score.config)
    task.config(results.score.config)
    verification = verify_results(results, progress=progress)
    if verification.status == "flagged":
        raise UserError(f"{folder} is not published, for its episodes are not as the score says: "
                        f"{verification.problems[0]}")  # fmt: skip
    api = connect()
    user, ours, model = _who(api, model)
    owner, name = model.split("/")
    if owner not in ours and not create_pr:
        raise UserError(f"{model} is not yours to write to; add --create-pr, and its owner can merge the score")
    _check_algorithm(folder, results.score, model)
    episodes_repo = check_repo_id(episodes_repo or f"{user if create_pr else owner}/{name}-lmrl-episodes")

    score = published_score(results.score, model)
    files = {each: (folder / each).read_bytes() for each in (EPISODES, ACTIONS, TIMING)}
    files[SCORE] = score.to_json().encode()
    path = f"{config}/{digest(files)}"

    def episode_files() -> dict[str, Path | bytes]:
        card = episodes_card(present_text(episodes_repo, "dataset", CARD), model, episodes_repo, path)
        # The timing of the first push stays: it is not what is published, and another one is no other result.
        timing = present_text(episodes_repo, "dataset", f"{path}/{TIMING}") or files[TIMING]
        return {CARD: card, **{f"{path}/{each}": content for each, content in (files | {TIMING: timing}).items()}}

    title = f"LMRL-Gym: {config}"
    episodes = publish(api, episodes_repo, "dataset", episode_files, message=title, private=private)
    source = f"{repo_url(episodes_repo, 'dataset')}/tree/main/{path}"
    entry = _entry(score, config, f"{namespace}/{task.id}", source, owner=episodes_repo.split("/")[0], user=user)
    entry.date = _first_published(api, episodes_repo, path)
    index = _index_results(score, task, entry.dataset_id, source)
    entries_path = f".eval_results/lmrl-{task.id}.yaml"

    def model_files() -> dict[str, Path | bytes]:
        merged: dict[str, Path | bytes] = {}
        for each in (entries_path, CARD):
            old = present_text(model, "model", each)
            try:
                merged[each] = (
                    merge_entries(old, entry) if each == entries_path else merge_card(old, model, task, index)
                )
            except ValueError as error:
                raise UserError(f"{each} of {model} is damaged ({one_line(str(error), 200)}); mend it first") from None
        return merged

    return Pushed(
        verification,
        episodes,
        publish(api, model, "model", model_files, message=title, create_pr=create_pr),
    )


def _who(api: "HfApi", model: str) -> tuple[str, set[str], str]:
    """The name behind the token, the namespaces it may write to, and the model as the Hub names it: in capitals of its
    own, and anew if it was renamed."""
    with hub_errors("your account"):
        told = persistently(api.whoami)
    with hub_errors(model):
        model = check_repo_id(persistently(lambda: api.model_info(model)).id)
    orgs = {org["name"] for org in told.get("orgs", []) if org.get("roleInOrg") != "read"}
    return told["name"], {told["name"], *orgs}, model


def _check_algorithm(folder: Path, score: Score, model: str) -> None:
    """A slip in the model's name would give it another's score: both say what trained them."""
    played = (score.checkpoint or {}).get("algorithm")
    with hub_errors(model):
        told = persistently(lambda: present_text(model, "model", TRAINING))
    if played is None or told is None:
        return
    try:
        trained = TrainingRecord.from_json(told.decode("utf-8")).algorithm
    except (ValueError, RecursionError):
        return
    if trained != played:
        raise UserError(
            f"{one_line(str(played), 40)} played the episodes of {folder}, and {model} was trained by "
            f"{one_line(trained, 40)}; give the model that played them"
        )


def _entry(
    score: Score, config: str, dataset: str, source: str, *, owner: str, user: str
) -> "EvalResultEntry":  # fmt: skip
    from huggingface_hub import EvalResultEntry

    revision = score.dataset_revision
    return EvalResultEntry(
        dataset_id=dataset,
        task_id=config,
        value=round(score.normalized, 2),
        dataset_revision=revision if revision and re.fullmatch("[0-9a-f]{40}", revision) else None,
        source_url=source,
        source_name="LMRL-Gym episodes",
        source_user=owner if owner == user else None,
        source_org=None if owner == user else owner,
        notes=notes(score),
    )


def _first_published(api: "HfApi", repo_id: str, path: str) -> str:
    """The day this folder was published: so that a push tomorrow writes the same entry."""
    with hub_errors(repo_id):
        found = persistently(lambda: list(api.list_repo_tree(repo_id, path, repo_type="dataset", expand=True)))
    for item in found:
        if item.path == f"{path}/{SCORE}" and item.last_commit is not None:
            return item.last_commit.date.date().isoformat()
    raise UserError(f"{repo_id}: the Hub does not say when {path} was published; run the same command again")
