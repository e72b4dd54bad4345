"""The leaderboard: what is known of every published score, where it was found, and what its episodes are worth.

Everything that is read here was written by others. What is wrong with one model's entries is said of that model and
stops no other's.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from lmrl_data.config import ReferenceReturns
from lmrl_data.dataset.card import leaderboard_id
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.hub import MAX_TEXT, check_repo_id, connect, fetch, hub_errors, persistently, repo_url, tree
from lmrl_data.task import Task
from lmrl_data.tasks import TASKS, get_task
from lmrl_data.text import one_line
from lmrl_eval.hub.push_results import EPISODES_PATH, PINNED, TAG, digest
from lmrl_eval.results import ACTIONS, EPISODES, SCORE, TIMING, Results, read_results
from lmrl_eval.score import Score
from lmrl_eval.verify import Status, Verification, verify_results

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry, HfApi
    from huggingface_hub.hf_api import ModelInfo

Warn = Callable[[str], None]  # is told one line about what was left out

ALGORITHMS = ("bc", "filtered_bc", "mc", "ilql", "ppo", "grpo", "online_filtered_bc")
MAX_MODELS = 10_000
MAX_FILES = 10  # of entries, that are read of one model
MAX_YAML = 1 << 15  # bytes of each; some 60 entries of ours, and YAML made to be slow takes a few seconds
MAX_RESULTS = 1_000  # folders of one dataset
LIMITS = {SCORE: 1 << 20, EPISODES: 1 << 28, ACTIONS: 1 << 24}  # bytes
ROUNDING = 0.05 + 1e-9  # an entry may state one digit after the point
SAMPLES = 3


@dataclass(frozen=True)
class Entry:
    """One published score.

    Args:
        model (`str`): the model repo, e.g. `"lmrl/maze-ilql-gpt2"`.
        score (`Score`): as published; text in it is whatever its author wrote. Where the episodes cannot be had, what
            the entry states, over 0 episodes.
        status (`str`): `"verified"`: replaying the actions gives these rewards; `"oracle"`: the same with the
            published replies of a model as oracle; `"flagged"`: it does not; `"unchecked"`: it could not be tried.
            Only the first two are ranked.
        problems (`Sequence[str]`): why it is flagged or unchecked, one line each.
        algorithm (`str`, *optional*): the recipe, as the score or the model's card says.
        parameters (`int`, *optional*): number of weights, as the score says, or the Hub if it counts more.
        date (`str`, *optional*): when it was published, e.g. `"2026-11-28"`.
        model_url (`str`, *optional*), episodes_url (`str`, *optional*): pages of the model and of the episodes.
        episodes (`Sequence[Episode]`): a few of them, to look at.
    """

    model: str
    score: Score
    status: Status
    problems: Sequence[str] = ()
    algorithm: str | None = None
    parameters: int | None = None
    date: str | None = None
    model_url: str | None = None
    episodes_url: str | None = None
    episodes: Sequence[Episode] = field(default=(), repr=False)


class Benchmark(NamedTuple):
    """A task's config, as the Hub names it."""

    dataset: str
    id: str
    task: Task
    config: str

    @property
    def reference(self) -> ReferenceReturns:
        return self.task.config(self.config).reference


class Claim(NamedTuple):
    """What a model's repository says that it scores."""

    model: str
    benchmark: Benchmark
    value: float
    url: str | None
    date: str | None


class Evidence(NamedTuple):
    """What the episodes behind a claim say."""

    name: str  # what was looked at
    verification: Verification
    results: Results | None


def benchmarks(namespace: str, tasks: Iterable[str] = ()) -> list[Benchmark]:
    """All configs of these tasks, or of all tasks.

    Raises:
        UserError: for an unknown task, or a namespace that cannot be.
    """
    return [
        Benchmark(check_repo_id(f"{namespace}/{name}"), leaderboard_id(task, config), task, config)
        for name, task in ((name, get_task(name)) for name in list(tasks) or TASKS)
        for config in task.configs
    ]


# --- claims: what models say


def read_claims(api: "HfApi", info: "ModelInfo", known: Sequence[Benchmark], warn: Warn) -> list[Claim]:
    """The entries of a model that are of the `known` benchmarks, one of each.

    Raises:
        UserError: if they cannot be read.
    """
    from huggingface_hub.errors import RemoteEntryNotFoundError
    from huggingface_hub.hf_api import RepoFile

    model, revision = info.id, info.sha or "main"
    with hub_errors(model):
        try:
            listing = persistently(
                lambda: list(islice(api.list_repo_tree(model, ".eval_results", revision=revision), 10 * MAX_FILES))
            )
        except RemoteEntryNotFoundError:
            return []
    # Those that `push` writes come first, should others say something else.
    files = sorted(
        (file for file in listing if isinstance(file, RepoFile) and file.path.endswith((".yaml", ".yml"))),
        key=lambda file: (not file.path.startswith(".eval_results/lmrl-"), file.path),
    )
    claims: dict[str, Claim] = {}
    for file in files[:MAX_FILES]:
        where = f"{model}, {one_line(file.path)}"
        if file.size > MAX_YAML:
            warn(f"{where}: skipped, it is too large for a list of results")
            continue
        with hub_errors(where):
            content = persistently(partial(fetch, model, "model", file.path, revision, MAX_TEXT))
        for claim in _parse(content, model, where, known, warn):
            claims.setdefault(claim.benchmark.id, claim)
    return list(claims.values())


def _parse(content: bytes, model: str, where: str, known: Sequence[Benchmark], warn: Warn) -> Iterator[Claim]:
    import yaml
    from huggingface_hub import parse_eval_result_entries

    try:
        rows = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        warn(f"{where}: skipped, it is no list of results")
        return
    by_name = {(benchmark.dataset, benchmark.id): benchmark for benchmark in known}
    damaged = 0
    for row in rows:
        # Only what looks like an entry gets to the client, which logs what some others say.
        if not isinstance(row, dict) or not isinstance(row.get("dataset"), dict) or {"error", "data"} & row.keys():
            damaged += 1
            continue
        name = row["dataset"].get("id"), row["dataset"].get("task_id")
        if not all(isinstance(part, str) for part in name) or name not in by_name:
            continue  # somebody else's benchmark
        try:
            (entry,) = parse_eval_result_entries([row])
            yield _claim(entry, model, by_name[name])
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            damaged += 1
    if damaged:
        warn(f"{where}: skipped {damaged} of its entries, which are damaged")


def _claim(entry: "EvalResultEntry", model: str, benchmark: Benchmark) -> Claim:
    value = entry.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("the value is no number")
    url = entry.source_url if isinstance(entry.source_url, str) else None
    # A date may be a day as YAML reads it, or a text; of anything else a few bytes may stand for gigabytes.
    day = re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(entry.date) if isinstance(entry.date, str | date) else "")
    return Claim(model, benchmark, float(value), url, day and day[0])


# --- evidence: what the episodes say


def episodes_place(url: str | None, benchmark_id: str) -> tuple[str, str] | None:
    """The dataset and the folder that a link of ours leads to; `None` for any other link."""
    home = re.escape(repo_url("", "dataset"))
    found = re.fullmatch(rf"{home}([\w.-]+/[\w.-]+)/tree/main/({benchmark_id}/[0-9a-f]{{16}})", url or "", re.ASCII)
    if found is None:
        return None
    try:
        return check_repo_id(found[1]), found[2]
    except UserError:
        return None


def examine(repo_id: str, path: str, benchmark: Benchmark, revision: str = "main", progress: bool = False) -> Evidence:
    """Fetches a folder of published episodes and verifies it by replay.

    Args:
        repo_id (`str`): a dataset.
        path (`str`): a folder in it, which `EPISODES_PATH` matches.
        benchmark (`Benchmark`): what was played.
        revision (`str`, *optional*, defaults to `"main"`): of the dataset.
        progress (`bool`, *optional*, defaults to `False`): whether to show a bar while the episodes are replayed.
    """
    name = f"{repo_id}/{path}"
    try:
        with hub_errors(name):
            files = {
                each: persistently(partial(fetch, repo_id, "dataset", f"{path}/{each}", revision, LIMITS[each]))
                for each in PINNED
            }
    except UserError as error:
        return Evidence(name, Verification("unchecked", (one_line(str(error), 300),), 0, 0, None), None)

    def flagged(problem: str) -> Evidence:
        return Evidence(name, Verification("flagged", (one_line(problem, 300),), 0, 0, None), None)

    if digest(files) != path.rpartition("/")[2]:
        return flagged("the files are not those that the folder is named by")
    with TemporaryDirectory() as folder:
        for each, content in (files | {TIMING: b"{}"}).items():
            Path(folder, each).write_bytes(content)
        try:
            results = read_results(folder)
        except UserError as error:
            return flagged(str(error).replace(f"{folder}/", "").replace(folder, name))
    if (results.score.task, results.score.config) != (benchmark.task.id, benchmark.config):
        return flagged(f"the score is not of {benchmark.task.id} {benchmark.config}")
    return Evidence(name, verify_results(results, progress=progress), results)


def check_claim(claim: Claim, progress: bool = False) -> Evidence:
    """The episodes that a claim names, and whether they are of this model and worth what it says."""
    place = episodes_place(claim.url, claim.benchmark.id)
    name = f"{claim.model}, {claim.benchmark.id}"
    if place is None:
        problem = "it names no episodes that `lmrl-eval push` published"
        return Evidence(name, Verification("unchecked", (problem,), 0, 0, None), None)
    _, verification, results = examine(*place, claim.benchmark, progress=progress)
    if results is not None:
        score = results.score
        if abs(score.normalized - claim.value) > ROUNDING:
            verification = _flag(
                verification, f"the entry states {claim.value:.2f}, and its episodes {score.normalized:.2f}"
            )
        played = _get(score.checkpoint, "source")
        if score.checkpoint is not None and played != claim.model and not _was_renamed(played, claim.model):
            verification = _flag(verification, f"it was {one_line(str(played), 96)} that played these episodes")
    return Evidence(name, verification, results)


def _was_renamed(old: object, model: str) -> bool:
    """Whether the Hub leads from this name to that model, as it does after a renaming."""
    if not _is_repo_id(old):
        return False
    try:
        with hub_errors(str(old)):
            return persistently(partial(connect(write=False).model_info, str(old))).id == model
    except UserError:
        return False


def _flag(verification: Verification, problem: str) -> Verification:
    return replace(verification, status="flagged", problems=(problem, *verification.problems))


def _get(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else None


def examine_dataset(api: "HfApi", repo_id: str, progress: bool = False) -> list[Evidence]:
    """Verifies all results that a dataset of episodes holds, older ones too.

    Raises:
        UserError: if there are none, or the dataset cannot be read.
    """
    with hub_errors(repo_id):
        commit, files = persistently(lambda: tree(api, repo_id, "dataset", "main"))
    by_id = {benchmark.id: benchmark for benchmark in benchmarks("lmrl")}
    paths = [path.removesuffix(f"/{SCORE}") for path in sorted(files) if path.endswith(f"/{SCORE}")]
    paths = [path for path in paths if EPISODES_PATH.fullmatch(path) and path.partition("/")[0] in by_id]
    if not paths:
        raise UserError(f"{repo_id} holds no episodes that `lmrl-eval push` published")
    if len(paths) > MAX_RESULTS:
        raise UserError(f"{repo_id} holds {len(paths):,} results, and no more than {MAX_RESULTS:,} are verified")
    return [examine(repo_id, path, by_id[path.partition("/")[0]], commit, progress) for path in paths]


def examine_model(api: "HfApi", repo_id: str, namespace: str, warn: Warn, progress: bool = False) -> list[Evidence]:
    """Verifies all entries of a model.

    Raises:
        UserError: if there are none, or the model cannot be read.
    """
    with hub_errors(repo_id):
        info = persistently(lambda: api.model_info(repo_id))
    claims = read_claims(api, info, benchmarks(namespace), warn)
    if not claims:
        raise UserError(f"{repo_id} states no score on a dataset of {namespace}")
    return [check_claim(claim, progress) for claim in claims]


# --- the leaderboard


def collect(
    namespace: str = "lmrl",
    tasks: Sequence[str] = (),
    models: Sequence[str] = (),
    *,
    warn: Warn = lambda line: None,
    progress: bool = False,
) -> list[Entry]:
    """Finds the published scores, and verifies each.

    The Hub's own leaderboards name the models where it has them. Otherwise these are the models with our tag, those of
    the namespace and the given ones; what counts is what their repositories say on `main`, so that the owner agreed.

    Args:
        namespace (`str`, *optional*, defaults to `"lmrl"`): whose datasets the benchmarks are.
        tasks (`Sequence[str]`, *optional*): all by default.
        models (`Sequence[str]`, *optional*): more models to look at.
        warn (`Callable`, *optional*): is told what was left out, and why.
        progress (`bool`, *optional*, defaults to `False`): whether to show a progress bar.

    Raises:
        UserError: for an unknown task, or if the Hub cannot be asked for models at all.
    """
    from tqdm import tqdm

    known = benchmarks(namespace, tasks)
    api = connect(write=False)
    names = _find_models(api, namespace, known) | {check_repo_id(model) for model in models}
    entries: list[Entry] = []
    for name in tqdm(sorted(names), desc="models", unit="model", disable=None if progress else True):
        try:
            with hub_errors(name):
                info = persistently(partial(api.model_info, name))
            entries += [_make_entry(claim, info) for claim in read_claims(api, info, known, warn)]
        except UserError as error:
            warn(f"{name}: {error}" if name not in str(error) else str(error))
    return entries


def _find_models(api: "HfApi", namespace: str, known: Sequence[Benchmark]) -> set[str]:
    from huggingface_hub.errors import HfHubHTTPError

    found: set[str] = set()
    everywhere = True
    with hub_errors("the search for models"):
        for dataset in dict.fromkeys(benchmark.dataset for benchmark in known):
            try:
                rows = persistently(partial(api.get_dataset_leaderboard, dataset, base_model_only=False))
                found |= {row.model_id for row in rows}
            except HfHubHTTPError as error:
                if error.response.status_code >= 500 or error.response.status_code == 429:
                    raise
                everywhere = False
            except (ValueError, KeyError, TypeError):
                everywhere = False
        if not everywhere:
            found |= persistently(lambda: {model.id for model in islice(api.list_models(filter=TAG), MAX_MODELS)})
            found |= persistently(
                lambda: {model.id for model in islice(api.list_models(author=namespace), MAX_MODELS)}
            )
    return {name for name in found if _is_repo_id(name)}


def _is_repo_id(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(check_repo_id(name))
    except UserError:
        return False


def _make_entry(claim: Claim, info: "ModelInfo") -> Entry:
    _, verification, results = check_claim(claim)
    score = results.score if results is not None else stated(claim)
    return Entry(
        model=claim.model,
        score=score,
        status=verification.status,
        problems=verification.problems,
        algorithm=_algorithm(score, info),
        parameters=_parameters(score, info),
        date=claim.date,
        model_url=repo_url(claim.model, "model"),
        episodes_url=claim.url if results is not None else None,
        episodes=results.episodes[:SAMPLES] if results is not None else (),
    )


def stated(claim: Claim) -> Score:
    """What a claim alone says: a number, over no episodes that anybody has seen."""
    benchmark, value = claim.benchmark, claim.value
    scale = benchmark.reference
    low, high = (scale.minimum, scale.dataset_mean) if value < 50 else (scale.dataset_mean, scale.maximum)
    mean = low + (high - low) * (value - (0 if value < 50 else 50)) / 50
    return Score(
        task=benchmark.task.id, task_version=benchmark.task.version, config=benchmark.config, policy="not published",
        n_episodes=0, mean_return=mean, interval=(mean, mean), confidence_level=0.95, normalized=value,
        normalized_interval=(value, value), normalized_to_optimum=scale.normalize(mean, to_optimum=True),
        success_rate=0.0, mean_turns=0.0, invalid_rate=0.0, seed=0, n_resamples=0,
    )  # fmt: skip


def _algorithm(score: Score, info: "ModelInfo") -> str | None:
    """Of the algorithms that we know; anything else that a card says is not repeated."""
    if isinstance(_get(score.checkpoint, "host"), str):
        return "prompted"
    said = [_get(score.checkpoint, "algorithm"), *(info.tags or [])]
    return next((name for name in said if isinstance(name, str) and name in ALGORITHMS), None)


def _parameters(score: Score, info: Any) -> int | None:
    # The Hub counts what is there, which of adapters is little; the author may state anything. The larger is true.
    counted = info.safetensors and info.safetensors.total
    stated = _get(score.checkpoint, "parameters")
    return max((each for each in (stated, counted) if type(each) is int and 0 < each < 10**15), default=None)
