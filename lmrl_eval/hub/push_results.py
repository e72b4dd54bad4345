"""Publishes a score: its episodes as a dataset that anyone can audit, and an entry in the model's repository.

The digest of the episodes names their folder. So the link in an entry says which bytes it is about, and nothing that
was published is ever overwritten.
"""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.dataset.card import leaderboard_id
from lmrl_data.dataset.page import task_page, templates
from lmrl_data.errors import UserError
from lmrl_data.hub import Published, check_repo_id, connect, hub_errors, persistently, present_text, publish, repo_url
from lmrl_data.parsing import HEAD, checked, parse_card, parse_yaml
from lmrl_data.task import Task
from lmrl_data.tasks import get_task
from lmrl_data.text import one_line
from lmrl_eval.publication import check_no_secret, public, public_numbers, public_text
from lmrl_eval.results import ACTIONS, EPISODES, SCORE, TIMING, read_results
from lmrl_eval.score import Score, oracle_name, player_of
from lmrl_eval.training_record import TRAINING, TrainingRecord
from lmrl_eval.untrusted import EPISODES_PATH, PINNED, TAG, digest, is_repo_id
from lmrl_eval.verify import Verification, verify_results

if TYPE_CHECKING:
    from huggingface_hub import EvalResult, EvalResultEntry, HfApi

CARD = "README.md"
SOURCE_NAME = "LMRL-Gym episodes"
CHAT = "chat:"


class PushedResults(NamedTuple):
    """What a push of results did: how the results were verified, and what was published where."""

    verification: Verification
    episodes: Published
    model: Published


# --- what is published


def published_score(score: Score, model: str) -> Score:
    """The score without local paths and without URL paths, where some proxies put API keys."""
    checkpoint, oracle = score.checkpoint, score.oracle
    if checkpoint is not None:
        checkpoint = {**public(checkpoint), "source": model}
        if isinstance(checkpoint.get("host"), str):
            checkpoint["host"] = public_text(f"http://{checkpoint['host']}").partition("://")[2]
    return replace(
        score,
        checkpoint=checkpoint,
        oracle=None if oracle is None else public(oracle),
        options=public(score.options),
        versions=public(score.versions),
    )


def notes(score: Score) -> str:
    """The facts that an entry's one number leaves out."""
    assert score.interval is not None  # a score of one episode is not published
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


def eval_results(
    score: Score, dataset: str, source: str, *, user: str, owner: str, day: str
) -> "tuple[EvalResultEntry, list[EvalResult]]":
    """A score in the Hub's two formats: an entry of `.eval_results`, and results for the `model-index` of a card.

    Args:
        score (`Score`): of a task that is installed.
        dataset (`str`): the benchmark's dataset, e.g. `"lmrl/maze"`.
        source (`str`): the address of the episodes.
        user (`str`), owner (`str`): who pushes, and who owns the episodes.
        day (`str`): when the episodes were published.
    """
    from huggingface_hub import EvalResult, EvalResultEntry

    task, revision = get_task(score.task), score.dataset_revision
    entry = EvalResultEntry(
        dataset_id=dataset,
        task_id=leaderboard_id(task, score.config),
        value=round(score.normalized, 2),
        dataset_revision=revision if revision and re.fullmatch("[0-9a-f]{40}", revision) else None,
        date=day,
        source_url=source,
        source_name=SOURCE_NAME,
        source_user=owner if owner == user else None,
        source_org=None if owner == user else owner,
        notes=notes(score),
    )
    values = {"normalized_score": score.normalized, "mean_return": score.mean_return}
    index = [
        EvalResult(
            task_type="reinforcement-learning", dataset_type=dataset, dataset_name=task_page(task).title,
            dataset_config=score.config, metric_type=name, metric_value=round(value, 2),
            metric_name=name.replace("_", " "), source_name=SOURCE_NAME, source_url=source,
        )
        for name, value in values.items()
    ]  # fmt: skip
    return entry, index


def put_in_place(items: list[Any], names: list[Any], new: list[Any], name: Any) -> list[Any]:
    """The items with the new ones at the place of those that have this name, or at the end."""
    first = names.index(name) if name in names else len(items)
    others = [item for item, other in zip(items, names, strict=True) if other != name]
    return [*others[:first], *new, *others[first:]]


def merge_entries(old: bytes | None, entry: "EvalResultEntry") -> bytes:
    """A file of `.eval_results` with this entry in place of an older one on the same benchmark; all others stay.

    Raises:
        ValueError: if the old file is no list of entries.
    """
    import yaml
    from huggingface_hub import eval_result_entries_to_yaml

    (new,) = eval_result_entries_to_yaml([entry])
    with checked("it is no list of evaluation results"):
        entries = parse_yaml(old) if old else []
        names = [(each["dataset"]["id"], each["dataset"]["task_id"]) for each in entries]
    name = entry.dataset_id, entry.task_id
    if old is not None and [each for each, other in zip(entries, names, strict=True) if other == name] == [new]:
        return old
    merged = put_in_place(entries, names, [new], name)
    return yaml.safe_dump(merged, sort_keys=False, allow_unicode=True).encode()


def merge_card(old: bytes | None, model: str, task: Task, results: "list[EvalResult]") -> bytes:
    """A model's card with these results in its `model-index` and our tag; the text below the head stays as it is.

    Raises:
        ValueError: if the old card has no head that can be read.
    """
    from huggingface_hub import ModelCard

    name = model.rpartition("/")[2]
    text = f"---\npipeline_tag: text-generation\n---\n\n# {name}\n\nA policy that plays {task_page(task).title}.\n"
    with checked("its head is no YAML of a model card"):
        if old is not None:
            text = old.decode("utf-8-sig")
            if HEAD.match(text):
                parse_card(old)
            if not text.lstrip().startswith("---"):
                text = f"---\n\n---\n{text}"
        card: Any = ModelCard(text)
        before = card.data.to_dict()
        kept = list(card.data.eval_results or [])
        card.data.eval_results = put_in_place(
            kept, [_benchmark(each) for each in kept], results, _benchmark(results[0])
        )
        card.data.model_name = card.data.model_name or name
        card.data.tags = list(dict.fromkeys([*(card.data.tags or []), TAG]))
        return old if old is not None and card.data.to_dict() == before else str(card).encode()


def _benchmark(result: "EvalResult") -> tuple[object, ...]:
    return result.task_type, result.dataset_type, result.dataset_config


def episodes_card(old: bytes | None, model: str, repo_id: str, path: str) -> bytes:
    """The card of a model's episodes: each config shows the folder that was pushed last.

    Args:
        old (`bytes`, *optional*): the present card.
        model (`str`), repo_id (`str`): checked ids of the model and of the dataset.
        path (`str`): the folder that is pushed now.

    Raises:
        UserError: if the repository holds something else.
    """
    import yaml

    configs = {} if old is None else _episode_configs(old, model, repo_id)
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
    """The folders that an older card of the same model's episodes shows, by config."""
    try:
        with checked("it is no card of episodes"):
            head, _ = parse_card(old)
            if head["model"] != model:
                raise ValueError
            paths = [each["data_files"][0]["path"].rpartition("/")[0] for each in head["configs"]]
            return {path.partition("/")[0]: path for path in paths if EPISODES_PATH.fullmatch(path)}
    except ValueError:
        raise UserError(
            f"{repo_id} holds something else than the episodes of {model}; name another --episodes-repo"
        ) from None


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
) -> PushedResults:
    """Publishes results: the episodes, then the entry and the card of the model in one commit.

    A second push of the same results changes nothing.

    Args:
        folder (`str` or `Path`): what `lmrl-eval run` wrote.
        model (`str`): the model's repository, which exists already.
        namespace (`str`, *optional*, defaults to `"lmrl"`): the owner of the benchmark datasets.
        create_pr (`bool`, *optional*, defaults to `False`): open a pull request, for a model that is not ours. The
            episodes then go to a dataset of our own.
        private (`bool`, *optional*, defaults to `False`): whether a new dataset of episodes is private.
        episodes_repo (`str`, *optional*): this dataset; `<owner>/<model>-lmrl-episodes` by default.
        progress (`bool`, *optional*, defaults to `False`): whether to show a bar while the episodes are replayed.

    Raises:
        UserError: if there are no results, a replay gives something else, another algorithm trained the model, or the
            Hub refuses.
    """
    from huggingface_hub import get_token

    check_repo_id(model)
    folder = Path(folder)
    before = _pinned_files(folder)
    results = read_results(folder)
    if results.score.interval is None:
        raise UserError(f"{folder} is not published: one episode has no interval; play at least 2")
    task = get_task(results.score.task)
    dataset = check_repo_id(f"{namespace}/{task.id}")
    config = leaderboard_id(task, results.score.config)
    task.config(results.score.config)
    verification = verify_results(results, progress=progress)
    if verification.status == "flagged":
        raise UserError(f"{folder} is not published: its episodes contradict its score: {verification.problems[0]}")
    api = connect()
    user, namespaces, model = _account(api, model)
    owner, name = model.split("/")
    if owner not in namespaces and not create_pr:
        raise UserError(f"{model} is not yours to write to; add --create-pr, and its owner can merge the score")
    _check_player(folder, results.score, model, api)
    _check_algorithm(folder, results.score, model)
    episodes_repo = check_repo_id(episodes_repo or f"{user if create_pr else owner}/{name}-lmrl-episodes")

    score = published_score(results.score, model)
    files = _pinned_files(folder)
    if files != before:
        raise UserError(f"{folder} was replaced while it was read; run the same command again")
    files[TIMING] = json.dumps(public_numbers(results.timing), indent=2).encode() + b"\n"
    files[SCORE] = score.to_json().encode()
    for file in (SCORE, ACTIONS):
        check_no_secret(file, files[file], get_token())
    path = f"{config}/{digest(files)}"

    def episode_files() -> dict[str, Path | bytes]:
        card = episodes_card(present_text(episodes_repo, "dataset", CARD), model, episodes_repo, path)
        # The first push's timing stays: another timing is no other result.
        timing = present_text(episodes_repo, "dataset", f"{path}/{TIMING}") or files[TIMING]
        return {CARD: card, **{f"{path}/{name}": content for name, content in (files | {TIMING: timing}).items()}}

    title = f"LMRL-Gym: {config}"
    episodes = publish(api, episodes_repo, "dataset", episode_files, message=title, private=private)
    source = f"{repo_url(episodes_repo, 'dataset')}/tree/main/{path}"
    entry, index = eval_results(
        score, dataset, source, user=user, owner=episodes_repo.split("/")[0],
        day=_publication_day(api, episodes_repo, path),
    )  # fmt: skip
    entries_path = f".eval_results/lmrl-{task.id}.yaml"

    def model_files() -> dict[str, Path | bytes]:
        old = {each: present_text(model, "model", each) for each in (entries_path, CARD)}
        damaged = entries_path
        try:
            merged: dict[str, Path | bytes] = {entries_path: merge_entries(old[entries_path], entry)}
            damaged = CARD
            return merged | {CARD: merge_card(old[CARD], model, task, index)}
        except ValueError as error:
            raise UserError(f"{damaged} of {model} is damaged ({error}); mend it first") from None

    published = publish(api, model, "model", model_files, message=title, create_pr=create_pr)
    return PushedResults(verification, episodes, published)


def _pinned_files(folder: Path) -> dict[str, bytes]:
    """The files of a results folder that its digest covers."""
    return {name: (folder / name).read_bytes() for name in PINNED if (folder / name).is_file()}


def _account(api: "HfApi", model: str) -> tuple[str, set[str], str]:
    """The name of the token's user, the namespaces they may write to, and the model's name on the Hub, which may
    differ in capitals or after a renaming."""
    with hub_errors("your account"):
        account = persistently(api.whoami)
    with hub_errors(model):
        model = check_repo_id(persistently(lambda: api.model_info(model)).id)
    orgs = {org["name"] for org in account.get("orgs", []) if org.get("roleInOrg") != "read"}
    return account["name"], {account["name"], *orgs}, model


def _check_player(folder: Path, score: Score, model: str, api: "HfApi") -> None:
    """Refuses to link a result to a model that its episodes do not name.

    Episodes of a folder here may be of any model, as whoever pushes says. Those of a model of the Hub, and of a chat
    model, name their player.
    """
    player = player_of(score)
    if score.checkpoint is None or player is None or "callable" in score.checkpoint:
        named = "no model" if player is None else f"{one_line(player, 60)}, which is no model,"
        raise UserError(
            f"{folder} is not published: its episodes name {named} as their player, so they are no score of {model}; "
            "play them with --policy and a checkpoint"
        )
    name = player.removeprefix(CHAT)
    if name == player and "revision" not in score.checkpoint and (Path(name).exists() or not is_repo_id(name)):
        return
    # Without a revision it may still be a folder, on the machine where it was played.
    names = (model,) if "revision" in score.checkpoint else (model, None)
    if name == model or (name == player and _name_on_hub(api, name) in names):
        return
    hint = f"; serve it as {model} if it is that model" if name != player else ""
    raise UserError(f"{folder} is not published: it was {one_line(player, 96)} that played, and not {model}{hint}")


def _name_on_hub(api: "HfApi", name: str) -> str | None:
    """The present name of a model on the Hub; `None` if there is none that the user may see."""
    from huggingface_hub.errors import RepositoryNotFoundError

    with hub_errors(name):
        try:
            return persistently(lambda: api.model_info(name)).id
        except RepositoryNotFoundError:
            return None


def _check_algorithm(folder: Path, score: Score, model: str) -> None:
    """Refuses a model that another algorithm trained: a slip in its name would give it another's score."""
    player = (score.checkpoint or {}).get("algorithm")
    with hub_errors(model):
        content = persistently(lambda: present_text(model, "model", TRAINING))
    if player is None or content is None:
        return
    try:
        with checked("it is no training record"):
            trainer = TrainingRecord.from_json(content.decode("utf-8")).algorithm
    except ValueError:
        return
    if trainer != player:
        raise UserError(
            f"{one_line(player, 40)} played the episodes of {folder}, and {model} was trained by "
            f"{one_line(trainer, 40)}; give the model that played them"
        )


def _publication_day(api: "HfApi", repo_id: str, path: str) -> str:
    """The day a folder was published: by it, a push tomorrow writes the same entry."""
    with hub_errors(repo_id):
        items = persistently(lambda: list(api.list_repo_tree(repo_id, path, repo_type="dataset", expand=True)))
    for item in items:
        if item.path == f"{path}/{SCORE}" and item.last_commit is not None:
            return item.last_commit.date.date().isoformat()
    raise UserError(f"{repo_id}: the Hub does not say when {path} was published; run the same command again")
