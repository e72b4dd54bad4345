"""The leaderboard's entries: found on the Hub, verified by replay. A model with damaged entries stops no other's."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from lmrl_data.dataset.card import leaderboard_id
from lmrl_data.errors import UserError
from lmrl_data.hub import MAX_TEXT, check_repo_id, connect, fetch, hub_errors, persistently, repo_url, tree
from lmrl_data.tasks import TASKS, get_task
from lmrl_data.terminal import progress_bar
from lmrl_data.text import one_line
from lmrl_eval.leaderboard.entry import Benchmarks, Entry, parse_entries
from lmrl_eval.results import ACTIONS, EPISODES, SCORE, Results
from lmrl_eval.score import NAMELESS, Score, player_of
from lmrl_eval.untrusted import EPISODES_PATH, PINNED, TAG, episodes_place, is_repo_id, parse_results
from lmrl_eval.verify import Verification, verify_results

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

Warn = Callable[[str], None]  # gets one line about what was skipped

ALGORITHMS = ("bc", "filtered_bc", "mc", "ilql", "ppo", "grpo", "online_filtered_bc")
MAX_MODELS = 10_000
MAX_FILES = 10  # files of entries that are read of one model
MAX_YAML = 1 << 15  # bytes of such a file: about 60 of our entries; hostile YAML of this size takes a few seconds
MAX_RESULTS = 1_000  # result folders of one dataset
LIMITS = {SCORE: 1 << 20, EPISODES: 1 << 28, ACTIONS: 1 << 24}  # bytes
ROUNDING = 0.05 + 1e-9  # an entry may state one digit after the point
SAMPLES = 3  # episodes to show of an entry


def benchmarks(namespace: str, tasks: Iterable[str] = ()) -> Benchmarks:
    """The configs of these tasks, or of all tasks, by the names that the Hub has for them.

    Raises:
        UserError: for an unknown task, or an impossible namespace.
    """
    return {
        (check_repo_id(f"{namespace}/{name}"), leaderboard_id(task, config)): (task, config)
        for name, task in ((name, get_task(name)) for name in list(tasks) or TASKS)
        for config in task.configs
    }


def read_entries(api: "HfApi", info: "ModelInfo", known: Benchmarks, warn: Warn) -> list[Entry]:
    """A model's entries on the known benchmarks, one for each and not yet verified.

    Raises:
        UserError: if the Hub does not let them be read.
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
    # The files that `lmrl-eval push` writes come first: they win over other files that contradict them.
    files = sorted(
        (file for file in listing if isinstance(file, RepoFile) and file.path.endswith((".yaml", ".yml"))),
        key=lambda file: (not file.path.startswith(".eval_results/lmrl-"), file.path),
    )
    entries: dict[tuple[str, str], Entry] = {}
    for file in files[:MAX_FILES]:
        where = f"{model}, {one_line(file.path)}"
        if file.size > MAX_YAML:
            warn(f"{where}: skipped, it is too large for a list of results")
            continue
        with hub_errors(where):
            content = persistently(partial(fetch, model, "model", file.path, revision, MAX_TEXT))
        try:
            found, damaged = parse_entries(content, model, known)
        except ValueError as error:
            warn(f"{where}: skipped, {error}")
            continue
        if damaged:
            warn(f"{where}: skipped {damaged} of its entries, which are damaged")
        for entry in found:
            entries.setdefault((entry.score.task, entry.score.config), entry)
    return list(entries.values())


# --- verification: what the episodes say


def verify_folder(
    repo_id: str, path: str, task: str, config: str, *, revision: str = "main", progress: bool = False
) -> tuple[Verification, Results | None]:
    """Fetches a folder of published episodes and replays them.

    Args:
        repo_id (`str`), path (`str`): a dataset, and a folder in it that `EPISODES_PATH` matches.
        task (`str`), config (`str`): what the episodes have to be of.
        revision (`str`, *optional*, defaults to `"main"`): of the dataset.
        progress (`bool`, *optional*, defaults to `False`): whether to show a bar.
    """
    name = f"{repo_id}/{path}"
    try:
        with hub_errors(name):
            files = {
                each: persistently(partial(fetch, repo_id, "dataset", f"{path}/{each}", revision, LIMITS[each]))
                for each in PINNED
            }
    except UserError as error:
        return _failed("unchecked", error), None
    try:
        results = parse_results(files, name, get_task(task), config)
    except UserError as error:
        return _failed("flagged", error), None
    return verify_results(results, progress=progress), results


def _failed(status: Any, problem: object) -> Verification:
    return Verification(status, (one_line(problem, 300),), 0, 0, None)


def verify_entry(entry: Entry, *, progress: bool = False) -> tuple[Verification, Results | None]:
    """Replays the episodes that an entry links to and compares them with its model and its number."""
    stated = entry.score
    place = episodes_place(entry.episodes_url, leaderboard_id(get_task(stated.task), stated.config))
    if place is None:
        return _failed("unchecked", "it names no episodes that `lmrl-eval push` published"), None
    verification, results = verify_folder(*place, stated.task, stated.config, progress=progress)
    if results is None:
        return verification, None
    score = results.score
    if score.interval is None:
        return _failed("flagged", "its one episode has no interval"), None
    if abs(score.normalized - stated.normalized) > ROUNDING:
        problem = f"the entry states {stated.normalized:.2f}, and its episodes {score.normalized:.2f}"
        verification = _flag(verification, problem)
    player = player_of(score)
    if score.checkpoint is None or player is None:
        verification = _flag(verification, f"its result {NAMELESS}")
    elif player != entry.model and not _was_renamed(player, entry.model):
        verification = _flag(verification, f"it was {one_line(player, 96)} that played these episodes")
    return verification, results


def _flag(verification: Verification, problem: str) -> Verification:
    return replace(verification, status="flagged", problems=(problem, *verification.problems))


def _was_renamed(old: object, model: str) -> bool:
    """Whether the Hub redirects this name to that model, as it does after a renaming."""
    if not is_repo_id(old):
        return False
    try:
        with hub_errors(str(old)):
            return _model_info(connect(write=False), str(old)).id == model
    except UserError:
        return False


def _model_info(api: "HfApi", name: str) -> "ModelInfo":
    """What the Hub says about a model.

    Raises:
        UserError: if its card has keys that the client cannot read, such as `self`.
    """
    try:
        return persistently(partial(api.model_info, name))
    except (TypeError, KeyError, AttributeError, RecursionError):
        raise UserError(f"{name}: skipped, its card cannot be read") from None


def verify_dataset(api: "HfApi", repo_id: str, *, progress: bool = False) -> dict[str, Verification]:
    """Verifies all results in a dataset of episodes, older ones too; by folder.

    Raises:
        UserError: if there are none, or the dataset cannot be read.
    """
    with hub_errors(repo_id):
        commit, files = persistently(lambda: tree(api, repo_id, "dataset", "main"))
    known = {benchmark: (task.id, config) for (_, benchmark), (task, config) in benchmarks("lmrl").items()}
    paths = [path.removesuffix(f"/{SCORE}") for path in sorted(files) if path.endswith(f"/{SCORE}")]
    paths = [path for path in paths if EPISODES_PATH.fullmatch(path) and path.partition("/")[0] in known]
    if not paths:
        raise UserError(f"{repo_id} holds no episodes that `lmrl-eval push` published")
    if len(paths) > MAX_RESULTS:
        raise UserError(f"{repo_id} holds {len(paths):,} results, and no more than {MAX_RESULTS:,} are verified")
    return {
        f"{repo_id}/{path}": verify_folder(
            repo_id, path, *known[path.partition("/")[0]], revision=commit, progress=progress
        )[0]
        for path in paths
    }


def verify_model(
    api: "HfApi", repo_id: str, namespace: str, warn: Warn, *, progress: bool = False
) -> dict[str, Verification]:
    """Verifies all entries of a model; by benchmark.

    Raises:
        UserError: if there are none, or the model cannot be read.
    """
    with hub_errors(repo_id):
        info = _model_info(api, repo_id)
    entries = read_entries(api, info, benchmarks(namespace), warn)
    if not entries:
        raise UserError(f"{repo_id} states no score on a dataset of {namespace}")
    return {
        f"{entry.model}, {leaderboard_id(get_task(entry.score.task), entry.score.config)}": verify_entry(
            entry, progress=progress
        )[0]
        for entry in entries
    }


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

    Where the Hub has a leaderboard of a dataset, that names the models; otherwise these are the models with our tag,
    those of the namespace and the given ones. Only entries on a model's `main` count: its owner agreed to them.

    Args:
        namespace (`str`, *optional*, defaults to `"lmrl"`): the owner of the benchmark datasets.
        tasks (`Sequence[str]`, *optional*): all by default.
        models (`Sequence[str]`, *optional*): more models to look at.
        warn (`Callable`, *optional*): gets a line about each thing that was skipped.
        progress (`bool`, *optional*, defaults to `False`): whether to show a progress bar.

    Raises:
        UserError: for an unknown task, or if the Hub does not answer the search for models.
    """
    known = benchmarks(namespace, tasks)
    api = connect(write=False)
    names = _find_models(api, namespace, known) | {check_repo_id(model) for model in models}
    entries: list[Entry] = []
    with progress_bar(len(names), "models", "models", show=progress) as bar:
        for name in sorted(names):
            try:
                with hub_errors(name):
                    info = _model_info(api, name)
                entries += [_verified(entry, info) for entry in read_entries(api, info, known, warn)]
            except UserError as error:
                warn(f"{name}: {error}" if name not in str(error) else str(error))
            bar.update()
    return entries


def _find_models(api: "HfApi", namespace: str, known: Benchmarks) -> set[str]:
    from huggingface_hub.errors import HfHubHTTPError

    names: set[str] = set()
    everywhere = True
    with hub_errors("the search for models"):
        for dataset in dict.fromkeys(dataset for dataset, _ in known):
            try:
                rows = persistently(partial(api.get_dataset_leaderboard, dataset, base_model_only=False))
                names |= {row.model_id for row in rows}
            except HfHubHTTPError as error:
                if error.response.status_code >= 500 or error.response.status_code == 429:
                    raise
                everywhere = False
            except (ValueError, KeyError, TypeError):  # an answer that the client cannot read
                everywhere = False
        if not everywhere:
            names |= persistently(partial(_search, api, filter=TAG))
            names |= persistently(partial(_search, api, author=namespace))
    return {name for name in names if is_repo_id(name)}


def _search(api: "HfApi", **criteria: Any) -> set[str]:
    return {model.id for model in islice(api.list_models(**criteria), MAX_MODELS)}


def _verified(entry: Entry, info: "ModelInfo") -> Entry:
    verification, results = verify_entry(entry)
    score = entry.score if results is None else results.score
    return replace(
        entry,
        score=score,
        status=verification.status,
        problems=verification.problems,
        algorithm=_algorithm(score, info),
        parameters=_parameters(score, info),
        model_url=repo_url(entry.model, "model"),
        episodes_url=None if results is None else entry.episodes_url,
        episodes=() if results is None else results.episodes[:SAMPLES],
    )


def _algorithm(score: Score, info: "ModelInfo") -> str | None:
    """One of the algorithms we know; other texts are not shown."""
    checkpoint = score.checkpoint or {}
    if isinstance(checkpoint.get("host"), str):
        return "prompted"
    names = [checkpoint.get("algorithm"), *(info.tags or [])]
    return next((name for name in names if isinstance(name, str) and name in ALGORITHMS), None)


def _parameters(score: Score, info: Any) -> int | None:
    # For adapters the Hub counts only the adapter weights, and authors may state any number, so take the larger.
    counted = info.safetensors and info.safetensors.total
    stated = (score.checkpoint or {}).get("parameters")
    return max((each for each in (stated, counted) if type(each) is int and 0 < each < 10**15), default=None)
