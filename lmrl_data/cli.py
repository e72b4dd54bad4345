"""The `lmrl-data` command: list, play and show the tasks; build, convert, describe and publish their datasets."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lmrl_data import __version__
from lmrl_data.command import make_app, run_app
from lmrl_data.dataset.page import task_page
from lmrl_data.dataset.plan import FIRST_SEED
from lmrl_data.dataset.statistics import Summary
from lmrl_data.episode import Episode
from lmrl_data.errors import UserError, unknown
from lmrl_data.options import parse_options
from lmrl_data.rollout import EpisodeRecorder
from lmrl_data.screen import introduction, outcome, scene
from lmrl_data.simulator import Simulator
from lmrl_data.task import Task
from lmrl_data.task_info import dataset_sizes, describe_task
from lmrl_data.tasks import TASKS, get_task
from lmrl_data.terminal import aligned, print_table, wrapped
from lmrl_data.text import printable

app = make_app()

TaskArgument = Annotated[str, typer.Argument(metavar="TASK", help="A task id; `lmrl-data list` names them.", autocompletion=lambda: list(TASKS))]  # noqa: E501  # fmt: skip
ConfigOption = Annotated[str | None, typer.Option(metavar="NAME", help="A config of the task; its default one if left out.")]  # noqa: E501  # fmt: skip
OptionOption = Annotated[list[str] | None, typer.Option("--option", metavar="NAME=VALUE", help="A reset option of the task, e.g. opponent=random for chess; a wrong name is answered by the list.")]  # noqa: E501  # fmt: skip
DataOption = Annotated[Path, typer.Option(metavar="DIR", help="The folder that `build` or `convert` wrote to.")]


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print it.")] = False
) -> None:
    """Tasks and datasets of LMRL-Gym.

    \b
    Example:
      lmrl-data build maze
    """
    if version:
        typer.echo(f"lmrl {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_tasks() -> None:
    """List the tasks, their configs and sizes.

    \b
    Example:
      lmrl-data list
    """
    rows: list[tuple[str, str]] = []
    for task_id in TASKS:
        try:
            task = get_task(task_id)
        except UserError as error:  # of another package: the other tasks can be listed nevertheless
            rows.append((printable(task_id), printable(str(error))))
            continue
        rows.append((task.id, task.summary))
        for name in task.configs:
            sizes = "  ".join(f"{size:>9,} {split}" for split, size in dataset_sizes(task, name).items())
            rows.append((f"  {name}", sizes))
    typer.echo(aligned(rows))
    typer.echo("\nNumbers are episodes of the datasets. `lmrl-data info TASK` describes a task.")


@app.command()
def info(task_id: TaskArgument) -> None:
    """Describe a task: rules, configs, options, protocols, policies.

    \b
    Example:
      lmrl-data info maze
    """
    typer.echo(describe_task(get_task(task_id)))


# --- show

MARGIN = " " * 18  # of the text of an episode


@app.command()
def show(
    task_id: TaskArgument,
    config: ConfigOption = None,
    split: Annotated[str, typer.Option(help="train or test")] = "train",
    index: Annotated[int, typer.Option(min=0, help="Which episode of the split.")] = 0,
    seed: Annotated[int | None, typer.Option(min=0, help="Play this seed's episode instead of reading one.")] = None,
    option: OptionOption = None,
    data: DataOption = Path("lmrl"),
) -> None:
    """Print an episode of the local build, or of a seed.

    \b
    Example:
      lmrl-data show maze --split test --index 3
      lmrl-data show chess --seed 7 --option opponent=random
    """
    task = get_task(task_id)
    config = config or task.default_config
    task.config(config)
    options = parse_options(option or [])
    folder = data / task.id
    if seed is None and not options and (folder / "manifest.json").is_file():
        episode = _read_episode(folder, config, split, index)
    else:
        if split not in FIRST_SEED:
            raise unknown("split", split, FIRST_SEED)
        chosen = FIRST_SEED[split] + index if seed is None else seed
        episode = task.generate(task.simulator(config=config, options=options), chosen)
        if seed is None and not options:
            typer.echo(f"({folder} holds no dataset; this is the episode that seed {chosen} makes)")
    _print_episode(episode)


def _read_episode(folder: Path, config: str, split: str, index: int) -> Episode:
    from lmrl_data.dataset.folder import read_episodes

    number = -1
    for number, episode in enumerate(read_episodes(folder, config, split)):
        if number == index:
            return episode
    raise UserError(f"{folder} ({config}, {split}) has {number + 1} episodes; give an --index from 0 to {number}")


def _print_episode(episode: Episode) -> None:
    end = "terminated" if episode.terminated else "truncated"
    typer.echo(
        f"{episode.task} {episode.config}, seed {episode.seed}, played by {printable(episode.policy)}: "
        f"{episode.num_turns} turns, return {episode.total_reward:g}, {end}, "
        f"{'success' if episode.success else 'no success'}"
    )
    for turn in episode.turns:
        reward = f"{turn.reward:+g}" if turn.role == "assistant" else ""
        text = printable(turn.content).replace("\n", "\n" + MARGIN)
        typer.echo(wrapped(f"{turn.role:>9} {reward:>6}  {text}", MARGIN))


# --- play


@app.command()
def play(
    task_id: TaskArgument,
    config: ConfigOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides everything random in the episode.")] = 0,
    start: Annotated[str | None, typer.Option(help="Where to begin, for tasks that have named starts.")] = None,
    option: OptionOption = None,
) -> None:
    """Play an episode yourself.

    \b
    Example:
      lmrl-data play maze --start far_left
      lmrl-data play wordle --option rules=official
      lmrl-data play endgames --option pieces=kRK
    """
    task = get_task(task_id)
    config = config or task.default_config
    task.config(config)
    simulator = task.simulator(config=config, render_mode="ansi", options=parse_options(option or []))
    starts = {name: options for each in task.protocols.values() for name, options in each.starts.items()}
    chosen = {} if start is None else starts.get(start, {"start": start})
    if start not in starts and "start" in chosen and not any("start" in options for options in starts.values()):
        names = [name for name, options in starts.items() if options]
        if names:
            raise unknown(f"start of {task.id}", start, [*names[:4], *["..."] * (len(names) > 4)])
        raise UserError(f"{task.id} has no named starts; what there is to choose, --option NAME=VALUE sets")
    recorder = EpisodeRecorder(task.id, simulator)
    recorder.begin(seed, chosen)
    typer.echo(introduction(task))
    try:
        over = False
        while not over:
            typer.echo(scene(task, _picture(simulator), recorder.turns))
            action = _ask(task, simulator)
            over = recorder.add(action, simulator.step(action))
    except (EOFError, KeyboardInterrupt):
        typer.echo(f"\nYou stopped. Return so far: {sum(turn.reward for turn in recorder.turns):g}.")
        return
    typer.echo(scene(task, _picture(simulator), recorder.turns))
    typer.echo(outcome(recorder.turns, recorder.info["success"]))


def _ask(task: Task, simulator: Simulator) -> str:
    """A person's next action; what costs something for nothing can be given again."""
    while True:
        action = input("> ")
        action = task.keys.get(action.strip(), action)
        objection = "" if task.objection is None else task.objection(simulator, action)
        if not objection:
            return action
        typer.echo(objection)


def _picture(simulator: Simulator) -> str:
    try:
        return str(simulator.render())
    except NotImplementedError:  # most tasks are text and nothing else
        return ""


# --- build


@app.command()
def build(
    task_id: TaskArgument,
    config: Annotated[str | None, typer.Option(metavar="NAME", help="Build this config only.")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Size of the train split; the test split gets a tenth.")] = None,  # noqa: E501
    num_proc: Annotated[int, typer.Option(min=1, help="Processes that play; the files do not depend on it.")] = 1,
    option: OptionOption = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="The parent folder of the dataset.")] = Path("lmrl"),
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a build with other settings, once the new one is whole.")] = False,  # noqa: E501
) -> None:  # fmt: skip
    """Write a task's dataset to DIR/TASK, or what is missing of it.

    \b
    Example:
      lmrl-data build maze
      lmrl-data build wordle --config words_200 --num-proc 2
      lmrl-data build chess --episodes 500 --num-proc 2
    """
    task = get_task(task_id)
    from lmrl_data.dataset.build import build_dataset

    folder = build_dataset(task, config, episodes, num_proc, out, parse_options(option or []), overwrite)
    typer.echo(f"{folder} is ready")
    if out.resolve().name == "lmrl":
        typer.echo(
            f'load_dataset("lmrl/{task.id}") run in {out.resolve().parent} reads this build, not the Hub\'s dataset '
            "of the same name"
        )


# --- convert


@app.command()
def convert(
    task_id: TaskArgument,
    files: Annotated[list[Path], typer.Argument(metavar="FILES", help="Files of the original release, in order.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="The parent folder of the dataset; not one that `build` wrote to.")],  # noqa: E501
    config: Annotated[str | None, typer.Option(metavar="NAME", help="The config the files are of, where their format does not tell.")] = None,  # noqa: E501
    split: Annotated[str, typer.Option(metavar="train|test", help="The split to write; the other one stays as it is.")] = "train",  # noqa: E501
) -> None:  # fmt: skip
    """Convert files of the original release to DIR/TASK.

    Reads maze (JSON lines of steps, or of text_history), text_nav (one JSON array or JSON lines of text_history),
    wordle (JSON lines of sequence), chess and endgames (JSON lines of whole games), twenty_questions, guess_my_city
    and car_dealer (a JSON array or JSON lines of conversations). Every row says which line of which file it is from.

    \b
    Example:
      lmrl-data convert maze fully_observed_maze_data.jsonl --out original
      lmrl-data convert text_nav bc_full_info.json \\
        --config fully_observed --out original
      lmrl-data convert wordle train_data.jsonl --out original
      lmrl-data convert wordle eval_data.jsonl --split test --out original
      lmrl-data stats maze --data original
    """
    task = get_task(task_id)
    from lmrl_data.dataset.convert.dataset import convert_dataset

    typer.echo(f"{convert_dataset(task, files, config, split, out)} is ready")


# --- stats


@app.command()
def stats(
    task_id: TaskArgument,
    data: DataOption = Path("lmrl"),
    figure: Annotated[Path | None, typer.Option(metavar="FILE", help="Where to draw the histograms: a .png, .svg or .pdf; in the dataset's folder by default.")] = None,  # noqa: E501
) -> None:  # fmt: skip
    """Compare the local build with the paper's Table 1.

    \b
    Example:
      lmrl-data stats maze
      lmrl-data stats wordle --figure wordle.pdf
    """
    task = get_task(task_id)
    from lmrl_data.dataset.figure import draw_histograms
    from lmrl_data.dataset.folder import read_manifest, read_statistics

    folder = data / task.id
    manifest = read_manifest(folder)
    if manifest is None:
        raise UserError(f"{folder} holds no dataset; make it with: lmrl-data build {task.id}")
    statistics = {config: read_statistics(folder, config, "train") for config in manifest["configs"]}
    rows = []
    paper = task_page(task).paper
    if paper is not None:
        rows.append(_row("paper, Table 1", "", paper))
    for config, each in statistics.items():
        rows.append(_row(config, "all", each.summary()))
        rows += [_row(config, printable(policy), summary) for policy, summary in each.by_policy().items()]
    print_table(("train split", "policy", "episodes", "length", "success", "return"), rows, texts=2)
    picture = figure or folder / "figures" / "lengths_and_returns.png"
    try:
        draw_histograms(statistics, picture)
    except OSError as error:
        reason = f"{picture} cannot be written ({error.strerror or error})"
        if figure is not None:
            raise UserError(reason) from None
        typer.echo(f"no histograms: {reason}", err=True)
    else:
        typer.echo(f"histograms: {picture}")


def _row(name: str, policy: str, summary: Summary) -> tuple[str, str, str, str, str, str]:
    length, total = (f"{mean:.1f} ± {deviation:.1f}" for mean, deviation in (summary.length, summary.total_reward))
    return name, policy, f"{summary.size:,}", length, f"{summary.success_rate:.3f}", total


# --- push


@app.command()
def push(
    task_id: TaskArgument,
    namespace: Annotated[str, typer.Option(metavar="NAME", help="The user or organization to publish under.")] = "lmrl",  # noqa: E501
    private: Annotated[bool, typer.Option("--private", help="If the repository has to be made, hide it from others.")] = False,  # noqa: E501
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Propose it as a pull request, where you may not write.")] = False,  # noqa: E501
    revision_tag: Annotated[str | None, typer.Option(metavar="TAG", help="The tag of this data; the task's version, as v1.0.0, by default.")] = None,  # noqa: E501
    data: DataOption = Path("lmrl"),
) -> None:  # fmt: skip
    """Publish the local build as the dataset NAMESPACE/TASK on the Hub.

    What is there already is not sent again, and a push that was interrupted goes on where it was. Data that has been
    published under a tag is never replaced. The token is the one of `hf auth login`, or HF_TOKEN.

    \b
    Example:
      lmrl-data push maze --namespace my-name
      lmrl-data push maze --create-pr
      lmrl-data push wordle --namespace my-name --private --revision-tag small
    """
    task = get_task(task_id)
    from lmrl_data.dataset.push import push_dataset

    published = push_dataset(
        task, data / task.id, f"{namespace}/{task.id}", private=private, create_pr=create_pr, revision_tag=revision_tag
    )
    typer.echo(published.describe())


# --- running


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    run_app(app, "lmrl-data", arguments, interrupted="interrupted; run the same command again to go on")


if __name__ == "__main__":
    main()
