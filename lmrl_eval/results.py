"""Results: a score and the episodes behind it, as a folder that anyone can audit."""

import json
import math
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lmrl_data.atomic import write_text
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError
from lmrl_data.tasks import TASKS, get_task
from lmrl_eval.score import Score

PARTIAL, LINES = "partial.json", "episodes.jsonl"
SCORE, EPISODES, ACTIONS, TIMING = "score.json", "episodes.parquet", "greedy_actions.json", "timing.json"

# Limits for a folder that anyone may have made: a file of a megabyte can hold a terabyte of text.
MAX_JSON = 16 * 2**20  # bytes
MAX_EPISODES = 200_000
MAX_TEXTS = 10_000_000
MAX_BYTES = 2**28  # of all texts, repeated ones included
MAX_FOOTER, MAX_GROUPS = 2**20, 1_000  # bytes and row groups of a Parquet file; ours have some kB and one
MAX_MEMORY = 2**30  # bytes that a look at a file may take
CODECS = {"SNAPPY", "UNCOMPRESSED"}  # Snappy makes of a byte at most 21, others a million
MAX_INFO, MAX_INFOS = 2**16, 2**25  # bytes of one episode's info and of all: as objects, JSON takes 30 times as much
MAX_TURNS = 10_000  # of an episode of a task that is not installed


@dataclass(frozen=True)
class Results:
    """The results of an evaluation.

    Args:
        score (`Score`): the numbers.
        episodes (`Sequence[Episode]`): all episodes, in the order of the seeds.
        greedy_actions (`Mapping[str, str]`): the greedy first action by start; may be empty.
        timing (`Mapping[str, float]`): seconds and rates; no other part differs from run to run.
    """

    score: Score
    episodes: Sequence[Episode]
    greedy_actions: Mapping[str, str] = field(default_factory=dict)
    timing: Mapping[str, float] = field(default_factory=dict)

    def returns_by_start(self) -> dict[str, float]:
        """The mean return of each start."""
        groups: dict[str, list[float]] = {}
        for episode in self.episodes:
            groups.setdefault(str(episode.info.get("start_name")), []).append(episode.total_reward)
        return {name: sum(returns) / len(returns) for name, returns in groups.items()}

    def save(self, folder: str | Path) -> Path:
        """Writes the results folder in one step; it replaces older results of that name.

        Raises:
            UserError: if the folder holds something else, or cannot be written.
        """
        folder = Path(folder)
        check_folder(folder)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as temporary:
                new = Path(temporary, "new")
                new.mkdir()
                self._write(new)
                if folder.exists():
                    # A folder that is not empty cannot be replaced; the old one is deleted with `temporary`.
                    folder.rename(Path(temporary, "old"))
                new.rename(folder)
        except OSError as error:
            raise UserError(f"cannot write results to {folder}: {error.strerror or error}") from None
        return folder

    def _write(self, folder: Path) -> None:
        import pyarrow.parquet

        from lmrl_data.rows import episode_table

        write_text(folder / SCORE, self.score.to_json())
        write_text(folder / ACTIONS, json.dumps(dict(self.greedy_actions), indent=2) + "\n")
        write_text(folder / TIMING, json.dumps(dict(self.timing), indent=2) + "\n")
        pyarrow.parquet.write_table(episode_table(self.episodes), folder / EPISODES)


def check_folder(folder: Path) -> None:
    """Raises a `UserError` if `folder` holds something other than results, which must not be replaced."""
    if not folder.exists() or (folder / SCORE).is_file() or (folder.is_dir() and not any(folder.iterdir())):
        return
    raise UserError(f"{folder} exists and holds no results; choose another folder")


def check_episodes(n_episodes: int) -> None:
    """Raises a `UserError` for a number of episodes that no evaluation can have."""
    if not 1 <= n_episodes <= MAX_EPISODES:
        most = f"{MAX_EPISODES:,}"
        raise UserError(f"an evaluation has 1 to {most} episodes, the most that can be read back; got {n_episodes:,}")


class PartialResults:
    """The episodes of a run that has not ended, in a folder beside that of its results.

    Every episode is written as it ends, so an error or the end of the program loses none.

    Args:
        folder (`Path`): the folder of the results; the episodes wait in `<folder>.partial`.
        settings (`Mapping`): everything that the episodes depend on. Episodes of other settings are refused.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        self.folder = folder.with_name(f"{folder.name}.partial")
        self.settings = json.loads(json.dumps(settings))
        self.count = 0

    def read(self) -> list[Episode]:
        """The episodes of an earlier, interrupted run.

        Raises:
            UserError: if they are damaged, or of other settings.
        """
        if not self.folder.exists():
            return []
        path = self.folder / LINES
        try:
            settings = json.loads((self.folder / PARTIAL).read_text(encoding="utf-8"))
            text = path.read_text(encoding="utf-8") if path.exists() else ""
            # The text after the last newline is an episode that was cut off in the middle.
            whole = text[: text.rfind("\n") + 1]
            if whole != text:
                write_text(path, whole)
            episodes = [Episode.from_row(json.loads(line)) for line in whole.splitlines()]
            other = [name for name in {**settings, **self.settings} if settings.get(name) != self.settings.get(name)]
        except (ValueError, TypeError, KeyError, AttributeError, OSError, RecursionError):
            raise UserError(f"{self.folder} holds no unfinished run, or a damaged one; delete it") from None
        if other:
            raise UserError(
                f"{self.folder} holds an unfinished run with another {other[0]} ({str(settings.get(other[0]))[:60]}); "
                "delete it to begin anew, or choose another folder"
            )
        self.count = len(episodes)
        return episodes

    def add(self, episode: Episode) -> None:
        """Writes an episode.

        Raises:
            UserError: if the disk refuses it.
        """
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True)
                write_text(self.folder / PARTIAL, json.dumps(self.settings, indent=2) + "\n")
            with (self.folder / LINES).open("a", encoding="utf-8", newline="\n") as file:
                file.write(json.dumps(episode.to_row()) + "\n")
        except OSError as error:
            raise UserError(f"cannot write results to {self.folder}: {error.strerror or error}") from None
        self.count += 1

    def remove(self) -> None:
        """Deletes the folder once the results are saved."""
        if (self.folder / PARTIAL).is_file():
            shutil.rmtree(self.folder, ignore_errors=True)


def find_results(folders: Iterable[str | Path]) -> tuple[list[Path], list[Path]]:
    """The results folders among these and up to two levels below them, and the paths that have none.

    Raises:
        UserError: if a path does not exist, or none has results.
    """
    results: list[Path] = []
    without: list[Path] = []
    for folder in map(Path, folders):
        if not folder.exists():
            raise UserError(f"there is no {folder}; give a folder that `lmrl-eval run` wrote, or one above it")
        below = [path.parent for pattern in (SCORE, f"*/{SCORE}", f"*/*/{SCORE}") for path in folder.glob(pattern)]
        hidden = {path for path in below if any(part.startswith(".") for part in path.relative_to(folder).parts)}
        below = sorted({*below} - hidden)
        results += [folder] if folder in below else below
        without += [] if below else [folder]
    if not results:
        read_results(without[0])  # says what is wrong with it
    return results, without


def read_results(folder: str | Path) -> Results:
    """Reads a results folder that anyone may have made; what it returns has the right types and is of bounded size.

    Raises:
        UserError: if the folder holds no results, a file is missing or damaged, or the score is not of the episodes.
    """
    import pyarrow

    folder = Path(folder)
    if not (folder / SCORE).is_file():
        if (folder / PARTIAL).is_file():
            raise UserError(f"{folder} holds an unfinished run; the command that began it goes on from there")
        raise UserError(f"{folder} holds no results (no {SCORE}); give a folder that `lmrl-eval run` wrote")
    for name in (EPISODES, ACTIONS, TIMING):
        if not (folder / name).is_file():
            raise UserError(f"{folder} is incomplete: {name} is missing; run the evaluation again")
    name = SCORE
    try:
        score = Score.from_json(_read_text(folder / SCORE))
        name = ACTIONS
        actions = _texts(json.loads(_read_text(folder / ACTIONS)))
        name = TIMING
        timing = dict(json.loads(_read_text(folder / TIMING)))
        name = EPISODES
        episodes = _read_episodes(folder / EPISODES, _most_messages(score.task))
    except (ValueError, TypeError, KeyError, OverflowError, OSError, RecursionError, pyarrow.ArrowException) as error:
        detail = " ".join(str(error).split())[:200]
        raise UserError(f"{folder / name} is damaged ({detail}); run the evaluation again") from None
    mean = sum(episode.total_reward for episode in episodes) / max(1, len(episodes))
    if len(episodes) != score.n_episodes or not math.isclose(mean, score.mean_return, rel_tol=1e-5, abs_tol=1e-5):
        raise UserError(
            f"{folder}: {SCORE} says {score.mean_return:.3f} over {score.n_episodes} episodes, but {EPISODES} holds "
            f"{mean:.3f} over {len(episodes)}; run the evaluation again"
        )
    _check_numbers(folder, score, episodes)
    return Results(score, episodes, actions, timing)


def _check_numbers(folder: Path, score: Score, episodes: Sequence[Episode]) -> None:
    """Raises a `UserError` if the score states a number that its episodes do not give; of installed tasks only."""
    if score.task not in TASKS or score.task_version != get_task(score.task).version:
        return
    if score.config not in get_task(score.task).configs or not episodes:
        return
    scale = get_task(score.task).config(score.config).reference
    expected = {
        "normalized": scale.normalize(score.mean_return),
        "normalized_to_optimum": scale.normalize(score.mean_return, to_optimum=True),
        "mean_turns": sum(episode.num_turns for episode in episodes) / len(episodes),
    }
    for name, value in expected.items():
        stated = getattr(score, name)
        if not math.isclose(stated, value, rel_tol=1e-4, abs_tol=1e-4):
            raise UserError(
                f"{folder}: {SCORE} says {name} {stated:.3f}, and its episodes give {value:.3f}; run the evaluation "
                "again"
            )
    if not all(
        math.isclose(stated, scale.normalize(bound), rel_tol=1e-4, abs_tol=1e-4)
        for stated, bound in zip(score.normalized_interval or (), score.interval or (), strict=True)
    ):
        raise UserError(f"{folder}: {SCORE} has two intervals that do not agree; run the evaluation again")


def _read_text(path: Path) -> str:
    if path.stat().st_size > MAX_JSON:
        raise ValueError(f"it has more than {MAX_JSON:,} bytes")
    return path.read_text(encoding="utf-8")


def _most_messages(task: str) -> int:
    """The most texts that an episode of the task has."""
    return 2 * (get_task(task).max_turns if task in TASKS else MAX_TURNS) + 2


def _read_episodes(path: Path, most_messages: int) -> list[Episode]:
    """The episodes of a Parquet file with the dataset's columns."""
    episodes = []
    for row in _checked_table(path, most_messages).to_pylist():
        # `info` is stored as JSON text, which only `datasets` decodes.
        row["info"] = json.loads(row["info"])
        if not isinstance(row["info"], dict):
            raise ValueError("an episode's info is no JSON object")
        episode = Episode.from_row(row)
        if not math.isclose(row["total_reward"], episode.total_reward, rel_tol=1e-9, abs_tol=1e-9):
            raise ValueError(f"the total reward of seed {episode.seed} is not the sum of its rewards")
        episodes.append(episode)
    return episodes


def _checked_table(path: Path, most_messages: int) -> Any:
    """The table in a Parquet file of episodes.

    Every number in a Parquet file can be forged, so what is read is counted once more, and the memory of the reading
    is limited.

    Raises:
        ValueError: if it has other columns, gaps, or more content than any evaluation.
    """
    from pyarrow.parquet import ParquetFile

    from lmrl_data.rows import stored_types

    _check_footer(path)
    with memory_limit(MAX_MEMORY), ParquetFile(path, arrow_extensions_enabled=False) as file:
        columns, expected = stored_types(file.schema_arrow), stored_types()
        if columns != expected:
            other = [name for name in columns | expected if columns.get(name) != expected.get(name)]
            raise ValueError(f"its columns are not those of episodes, e.g. {other[0][:40]!r}")
        rows, n_groups = file.metadata.num_rows, file.metadata.num_row_groups
        if n_groups > MAX_GROUPS:
            raise ValueError(f"it has {n_groups:,} row groups, which is too much to read")
        groups = [file.metadata.row_group(index) for index in range(n_groups)]
        parts = [group.column(index) for group in groups for index in range(len(file.schema))]
        codecs = {part.compression for part in parts} - CODECS
        if codecs:
            raise ValueError(f"it is compressed by {min(codecs)}, and `lmrl-eval run` writes Snappy")
        paths = [file.schema.column(index).path for index in range(len(file.schema))]
        texts = max(sum(group.column(index).num_values for group in groups) for index in range(len(paths)))
        size = sum(group.total_byte_size for group in groups)
        if not (0 <= rows <= MAX_EPISODES and texts <= MAX_TEXTS and size <= MAX_BYTES):
            raise ValueError(
                f"it holds {rows:,} episodes, {texts:,} texts and {size:,} bytes, which is too much to read"
            )
    # Read as dictionaries, equal texts take no more memory than in the file, however often each occurs.
    with memory_limit(MAX_MEMORY), ParquetFile(path, arrow_extensions_enabled=False, read_dictionary=paths) as file:
        table = file.read(use_threads=False)
        _check_table(table, most_messages)
    return table


def _check_footer(path: Path) -> None:
    """Raises a `ValueError` for a file or a footer that is larger than those of any evaluation."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        footer = int.from_bytes(file.read(4), "little")
    if size > MAX_BYTES or footer > MAX_FOOTER:
        raise ValueError(f"it has {size:,} bytes and a footer of {footer:,}, which is too much to read")


def _check_table(table: Any, most_messages: int) -> None:
    """Raises a `ValueError` if the content of a table, each value counted as often as it occurs, is too much."""
    from pyarrow import compute

    if table.num_rows > MAX_EPISODES:
        raise ValueError(f"it holds {table.num_rows:,} episodes, which is too much to read")
    for name in ("messages", "rewards"):
        lengths = compute.list_value_length(table[name])
        longest, texts = (f(lengths).as_py() or 0 for f in (compute.max, compute.sum))
        if longest > most_messages:
            raise ValueError(f"an episode has {longest:,} texts, and one of this task has at most {most_messages:,}")
        if texts > MAX_TEXTS:
            raise ValueError(f"it holds {texts:,} texts, which is too much to read")
    size = sum(_size(chunk) for column in table.columns for chunk in column.chunks)
    if size > MAX_BYTES:
        raise ValueError(f"it holds {size:,} bytes, which is too much to read")
    infos = table["info"].cast("large_string")
    longest, size = (f(compute.binary_length(infos)).as_py() or 0 for f in (compute.max, compute.sum))
    if longest > MAX_INFO or size > MAX_INFOS:
        raise ValueError(f"the info of its episodes has {size:,} bytes, which is too much to read")


_LIMITS = threading.Lock()
_limited: list[int] = []  # the limit before, once for each thread that reads


@contextmanager
def memory_limit(allowed: int) -> Iterator[None]:
    """Lets what happens inside take at most so many bytes more than this process has; only Linux can say how many.

    With its first bytes, Arrow reserves a gigabyte of addresses; they are reserved before the count begins. The limit
    is one of the process: the last of several threads lifts it.

    Raises:
        ValueError: if it wants more.
    """
    import pyarrow

    try:
        import resource

        pyarrow.allocate_buffer(1)
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError, ValueError):
        yield
        return
    with _LIMITS:
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        _limited.append(_limited[0] if _limited else soft)
        limit = pages * resource.getpagesize() + allowed
        if soft != resource.RLIM_INFINITY:
            limit = min(limit, soft)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    except MemoryError:  # Arrow's is one
        raise ValueError(f"it takes more than {allowed >> 20:,} MB to read") from None
    finally:
        with _LIMITS:
            before = _limited.pop()
            if not _limited:
                resource.setrlimit(resource.RLIMIT_AS, (before, hard))


def _size(array: Any) -> int:
    """The bytes of all values of an Arrow array, each value counted as often as it occurs."""
    from pyarrow import compute, types

    if array.null_count:
        raise ValueError("it has empty cells")
    if types.is_list(array.type):
        return _size(array.flatten())
    if types.is_struct(array.type):
        return sum(map(_size, array.flatten()))
    if types.is_dictionary(array.type):
        return compute.sum(compute.binary_length(array.dictionary).take(array.indices).cast("int64")).as_py() or 0
    return array.nbytes


def _texts(values: object) -> dict[str, str]:
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise ValueError("not a table of texts")
    return values
