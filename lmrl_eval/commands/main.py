"""`lmrl-eval`: scores policies in the simulator and reports the scores."""

import os
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lmrl_data.command import make_app, run_app
from lmrl_data.terminal import print_markdown
from lmrl_eval.commands import hub as hub_cli

if TYPE_CHECKING:
    from lmrl_data.episode import Episode
    from lmrl_data.policy import Policy
    from lmrl_data.task import Task
    from lmrl_eval.oracles import ModelOracle
    from lmrl_eval.results import Results
    from lmrl_eval.score import Score

# Busy-waiting threads would take the cores that the simulator needs. OpenMP reads this when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

EVALUATION_SEED = 2_000_000  # of lmrl_data.task, whose import would slow --help down

PolicyOption = Annotated[
    str,
    typer.Option(
        help="scripted:NAME, human, chat:MODEL@URL, MODULE:NAME (a function of yours), a checkpoint or a model id."
    ),
]
ConfigOption = Annotated[str | None, typer.Option(help="Config of the task; its first one by default.")]
ProtocolOption = Annotated[
    str | None, typer.Option(help="Which starts are played, and how often: paper or quick, or one of the task's own.")
]
ResetOption = Annotated[
    list[str] | None, typer.Option(help="A reset option of the task, e.g. opponent=depth1.", metavar="NAME=VALUE")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the first episode; episode i has this plus i.")]
BetaOption = Annotated[
    list[str] | None, typer.Option(help="Weight of the values; several, or 0,4,16, make a sweep.", metavar="NUMBER")
]
BatchSizeOption = Annotated[
    int | None, typer.Option(help="Episodes that run at the same time; 64 by default, 8 of a chat policy.")
]
MaxNewTokensOption = Annotated[
    int | None, typer.Option(help="Longest action in tokens; 32 by default, 1024 with thoughts, 256 of a chat policy.")
]
ThinkingOption = Annotated[
    str, typer.Option(help="Whether a checkpoint may think before it acts: off or on.", metavar="off|on")
]
ShotsOption = Annotated[
    int | None, typer.Option(help="Number of successful episodes in the prompt of a chat policy; 0 by default.")
]
ShotsDatasetOption = Annotated[
    str | None, typer.Option(help="The dataset of these episodes; lmrl/TASK by default.", metavar="NAME")
]
AnswersOption = Annotated[
    str | None,
    typer.Option(help="The form of answers: plain (the default), json (of chat policies) or tool.", metavar="FORM"),
]
OutOption = Annotated[
    Path | None, typer.Option(help="Results folder (of a sweep: the folder above them).", show_default=False)
]
DeviceOption = Annotated[str, typer.Option(help="Where a model runs, e.g. cpu or cuda.")]
OracleOption = Annotated[
    str, typer.Option(help="The other side of a dialogue: grounded, lm:FOLDER (or a model id), or chat:MODEL@URL.")
]
OracleBudgetOption = Annotated[int | None, typer.Option(help="The maximum number of requests of a chat oracle.")]
OracleSeedOption = Annotated[int, typer.Option(min=0, help="Seed of the oracle's own noise.")]

app = make_app()


@app.callback(invoke_without_command=True)
def _main(
    context: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print it.")] = False
) -> None:
    """Scores of policies on LMRL-Gym's tasks.

    \b
    Example:
      lmrl-eval run --task maze --policy scripted:optimal
    """
    if version:
        from lmrl_data import __version__

        typer.echo(f"lmrl {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def run(
    context: typer.Context,
    task: Annotated[str, typer.Option(help="Task id, e.g. maze.")],
    policy: PolicyOption,
    config: ConfigOption = None,
    protocol: ProtocolOption = None,
    episodes: Annotated[int | None, typer.Option(help="Number of episodes; the protocol's by default.")] = None,
    option: ResetOption = None,
    seed: SeedOption = EVALUATION_SEED,
    policy_seed: Annotated[int, typer.Option(min=0, help="Seed of the policy's own noise.")] = 0,
    temperature: Annotated[float, typer.Option(help="Sampling temperature; 0 is greedy.")] = 1.0,
    beta: BetaOption = None,
    batch_size: BatchSizeOption = None,
    max_new_tokens: MaxNewTokensOption = None,
    thinking: ThinkingOption = "off",
    shots: ShotsOption = None,
    shots_dataset: ShotsDatasetOption = None,
    answers: AnswersOption = None,
    policy_budget: Annotated[int | None, typer.Option(help="The maximum number of requests of a chat policy.")] = None,
    out: OutOption = None,
    device: DeviceOption = "cpu",
    oracle: OracleOption = "grounded",
    oracle_budget: OracleBudgetOption = None,
    oracle_seed: OracleSeedOption = 0,
) -> None:
    """Play a task with a policy, and score it.

    The score and the episodes are results. Results go to results/TASK-CONFIG-POLICY by default and replace older ones
    of that name. The same command continues an interrupted run. The key in LMRL_API_KEY is sent to a chat oracle or
    policy (for two endpoints: the keys in LMRL_ORACLE_API_KEY and LMRL_POLICY_API_KEY), over https or to this machine
    only.

    \b
    Examples:
      lmrl-eval run --task maze --policy scripted:optimal
      lmrl-eval run --task maze --policy runs/maze/bc --out results/maze/bc
      lmrl-eval run --task maze --policy runs/maze/ilql --beta 0,4,16
      lmrl-eval run --task maze --policy human --protocol quick --episodes 2
      lmrl-eval run --task endgames --policy scripted:optimal \\
        --protocol tricky --option opponent=errant
      lmrl-eval run --task twenty_questions --policy scripted:expert \\
        --oracle lm:runs/twenty_questions/oracle
      lmrl-eval run --task car_dealer --policy scripted:reader --episodes 8 \\
        --oracle chat:MODEL@http://localhost:8000/v1
      lmrl-eval run --task wordle --policy chat:MODEL@http://localhost:8000/v1 \\
        --episodes 64 --temperature 0
      lmrl-eval run --task maze --policy chat:MODEL@http://localhost:8000/v1 \\
        --shots 1 --answers json
      lmrl-eval run --task wordle --policy chat:MODEL@http://localhost:8000/v1 \\
        --answers tool
      lmrl-eval run --task guess_my_city --policy chat:MODEL@https://HOST/v1 \\
        --protocol quick --policy-budget 500
    """
    from lmrl_data.errors import unknown
    from lmrl_data.options import parse_options
    from lmrl_data.tasks import get_task
    from lmrl_data.text import one_line
    from lmrl_eval.oracles import load_oracle
    from lmrl_eval.policies import is_function, load_policy
    from lmrl_eval.report import table
    from lmrl_eval.results import check_folder

    chosen = get_task(task)
    config = config or chosen.default_config
    chosen.config(config)
    n_episodes = chosen.protocol(protocol).n_episodes if episodes is None else episodes
    options = parse_options(option or [])
    betas = _betas(beta or [])
    if thinking not in ("off", "on"):
        raise unknown("thinking", thinking, ("off", "on"))
    human, endpoint = policy == "human", policy.startswith("chat:")
    _check_settings(context, policy, oracle)
    asked_more = not (human or endpoint or is_function(policy))
    if batch_size is None:
        # More episodes at a time than requests make nothing faster and are lost when an endpoint fails.
        batch_size = 8 if endpoint else 64
    chat = {"shots": shots, "dataset": shots_dataset, "answers": answers, "budget": policy_budget}
    if endpoint:
        chat["concurrency"] = batch_size
    speaker = load_oracle(oracle, chosen, seed=oracle_seed, budget=oracle_budget, device=device)
    scores, folders = [], []
    for value in betas:
        player = load_policy(
            policy,
            chosen,
            config,
            seed=policy_seed,
            temperature=temperature,
            beta=value,
            max_new_tokens=max_new_tokens,
            thinking=thinking == "on",
            device=device,
            chat=chat,
            options=options,
        )
        folder = Path("results", _slug(f"{chosen.id}-{config}-{player.name}"))
        if out is not None:
            folder = out if len(betas) == 1 else out / _slug(player.name)
        check_folder(folder)  # now, and not after an hour of play
        score = _evaluate(
            player,
            chosen,
            config,
            folder,
            spec=policy,
            policy_seed=policy_seed,
            protocol=protocol,
            options=options,
            n_episodes=n_episodes,
            seed=seed,
            # A person plays one episode at a time and sees no bar between the texts. Neither a person nor an endpoint
            # nor a function, which may cost money, is asked for a first action from each start.
            batch_size=1 if human else batch_size,
            progress=not human,
            move_accuracy=asked_more,
            oracle=speaker,
        )
        folders.append(folder)
        scores.append(score)
    print_markdown(table(scores))
    for folder in folders:
        typer.echo(f"wrote {one_line(folder, 500)}")


def _check_settings(context: typer.Context, policy: str, oracle: str) -> None:
    """Refuses settings that would change nothing, such as those of a model for a script."""
    from lmrl_data.errors import UserError
    from lmrl_eval.policies import is_checkpoint

    model, endpoint, human = is_checkpoint(policy), policy.startswith("chat:"), policy == "human"
    acts = {
        "temperature": (model or endpoint, "a language model as policy"),
        "max_new_tokens": (model or endpoint, "a language model as policy"),
        "device": (model or oracle.startswith("lm:"), "a checkpoint, or an oracle lm:FOLDER"),
        "policy_seed": (not human, "a policy that draws random numbers"),
        "oracle_seed": (oracle != "grounded", "a model as --oracle"),
    }
    for name, (does_act, who) in acts.items():
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and not does_act:
            raise UserError(f"--{name.replace('_', '-')} is for {who}; with --policy {policy[:80]} leave it out")


def _evaluate(
    policy: "Policy",
    task: "Task",
    config: str,
    folder: Path,
    *,
    spec: str,
    policy_seed: int,
    n_episodes: int,
    oracle: "ModelOracle | None",
    **settings: Any,
) -> "Score":
    """Plays the episodes that an earlier, interrupted run has not played, and saves the results."""
    from lmrl_data.errors import UserError
    from lmrl_data.text import one_line
    from lmrl_eval.evaluator import Evaluator
    from lmrl_eval.policies import describe_checkpoint, is_function
    from lmrl_eval.record import installed_versions
    from lmrl_eval.results import PartialResults

    checkpoint = describe_checkpoint(spec, policy, task, config)
    if checkpoint is not None and "trained_for" in checkpoint:
        trained_for = one_line(checkpoint["trained_for"], 100)
        version = f", version {task.version}" if ", version " in trained_for else ""
        typer.echo(f"warning: {spec} was trained for {trained_for}, not for {task.id} {config}{version}", err=True)
    partial = PartialResults(
        folder,
        {
            "task": task.id,
            "task_version": task.version,
            "config": config,
            "protocol": settings["protocol"],
            "options": settings["options"],
            "n_episodes": n_episodes,
            "seed": settings["seed"],
            "policy": policy.name,
            "policy_seed": policy_seed,
            "checkpoint": checkpoint,
            "versions": installed_versions(),
            "oracle": oracle and oracle.describe(),
        },
    )

    def add(episode: "Episode") -> None:
        partial.add(episode)
        policy.show_end(episode)

    try:
        results = Evaluator().compute(
            policy,
            task,
            config,
            n_episodes=n_episodes,
            policy_seed=None if spec == "human" or is_function(spec) else policy_seed,
            checkpoint=checkpoint,
            dataset_revision=(checkpoint or {}).get("dataset_revision"),
            oracle=oracle,
            done=partial.read(),
            on_episode=add,
            **settings,
        )
    except (UserError, KeyboardInterrupt) as error:
        if not partial.count:
            raise
        saved = f"{partial.count} of {n_episodes} episodes are saved; the same command goes on from there"
        if isinstance(error, UserError):
            raise type(error)(f"{error}; {saved}") from None
        typer.echo(f"\n{saved}", err=True)
        raise
    results.save(folder)
    partial.remove()
    if complaint := policy.complaint():
        typer.echo(f"warning: {complaint}", err=True)
    return results.score


@app.command("oracle")
def compare_oracle(
    task: Annotated[str, typer.Option(help="Id of a dialogue task, e.g. twenty_questions.")],
    oracle: Annotated[str, typer.Option(help="The oracle to measure: lm:FOLDER (or a model id), or chat:MODEL@URL.")],
    config: ConfigOption = None,
    episodes: Annotated[int, typer.Option(help="Number of episodes.")] = 100,
    seed: SeedOption = EVALUATION_SEED,
    batch_size: Annotated[int, typer.Option(help="Episodes that run at the same time.")] = 64,
    oracle_budget: OracleBudgetOption = None,
    oracle_seed: OracleSeedOption = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the table and the figure.", show_default=False)] = None,
    device: DeviceOption = "cpu",
) -> None:
    """Compare a model as oracle with the rules.

    Measures how often it replies as the simulator itself does. Replays the dataset's agents and asks the oracle at
    every turn. Writes results/oracle-TASK-CONFIG-ORACLE.

    \b
    Example:
      lmrl-eval oracle --task twenty_questions \\
        --oracle lm:runs/twenty_questions/oracle
    """
    from lmrl_data.errors import UserError
    from lmrl_data.tasks import get_task
    from lmrl_eval.oracles import load_oracle
    from lmrl_eval.oracles.agreement import measure, write_agreement

    chosen = get_task(task)
    config = config or chosen.default_config
    chosen.config(config)
    speaker = load_oracle(oracle, chosen, seed=oracle_seed, budget=oracle_budget, device=device)
    if speaker is None:
        raise UserError("oracles are compared with the grounded one; name lm:FOLDER or chat:MODEL@URL")
    agreement = measure(speaker, chosen, config, n_episodes=episodes, seed=seed, batch_size=batch_size)
    folder = out or Path("results", _slug(f"oracle-{chosen.id}-{config}-{oracle}"))
    print_markdown(write_agreement(agreement, folder))
    typer.echo(f"wrote {folder}")


@app.command()
def report(
    results: Annotated[
        list[Path],
        typer.Argument(help="Results folders that `lmrl-eval run` wrote; with --curves, output folders of training."),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for report.md and the figures, or a .png, .svg or .pdf for the figure alone.")
    ] = Path("report"),
    curves: Annotated[
        bool, typer.Option("--curves", help="Draw the learning curves of training runs instead.")
    ] = False,
) -> None:
    """Make a table and figures of results or training runs.

    A folder above results stands for all that are in it; other folders are skipped.

    With --curves it reads trainer_state.json in the folder or its newest checkpoint, and writes curves.png and
    curves.md. For runs that differ only in a trailing seed, as ppo_seed0 and ppo_seed1, it also draws the mean.

    \b
    Examples:
      lmrl-eval report results/*
      lmrl-eval report --curves runs/maze/ppo runs/maze/grpo --out report/maze
      lmrl-eval report results/maze --out scores.pdf
    """
    from lmrl_data.dataset.figure import FORMATS

    command = ["lmrl-eval", "report", *(["--curves"] if curves else []), *map(str, results)]
    command += [] if out == Path("report") else ["--out", str(out)]
    if curves:
        from lmrl_eval.curves import write_curves

        text, skipped = write_curves(results, out, command=shlex.join(command))
        _say_skipped(skipped, "no log of a training run")
        print_markdown(text)
        typer.echo(f"wrote {out if out.suffix in FORMATS else out / 'curves.md'}")
        return
    from lmrl_eval.report import write_report
    from lmrl_eval.results import find_results, read_results

    folders, skipped = find_results(results)
    _say_skipped(skipped, "no results in it")
    named: dict[str, Results] = {}
    for path in folders:
        name = base = _slug(path.resolve().name)
        number = 1
        while name in named:
            name, number = f"{base}-{number + 1}", number + 1
        named[name] = read_results(path)
    print_markdown(write_report(named, out, command=shlex.join(command)))
    typer.echo(f"wrote {out if out.suffix in FORMATS else out / 'report.md'}")


def _say_skipped(folders: Sequence[Path], reason: str) -> None:
    from lmrl_data.text import one_line

    if folders:
        names = ", ".join(str(folder) for folder in folders)
        typer.echo(f"skipped ({reason}): {one_line(names, 1_000)}", err=True)


@app.command("from-inspect")
def from_inspect(
    log: Annotated[Path, typer.Argument(help="A log that `inspect eval` wrote, mostly logs/*.eval.")],
    out: Annotated[Path | None, typer.Option(help="Results folder.", show_default=False)] = None,
) -> None:
    """Make a results folder from a log of inspect-ai.

    It is as if `lmrl-eval run` had played it.

    \b
    Example:
      inspect eval lmrl_eval/wordle --model openai/MODEL -T episodes=64
      lmrl-eval from-inspect logs/*.eval
    """
    from lmrl_data.text import one_line
    from lmrl_eval.inspect_tasks import results_from_log
    from lmrl_eval.report import table

    results = results_from_log(log)
    score = results.score
    folder = results.save(out or Path("results", _slug(f"{score.task}-{score.config}-{score.policy}")))
    print_markdown(table([score]))
    typer.echo(f"wrote {one_line(str(folder), 500)}")


def _betas(given: Sequence[str]) -> list[float | None]:
    """The values of `--beta`, which may be repeated or a list; `[None]` without one."""
    from lmrl_data.errors import UserError

    values: list[float | None] = []
    for text in ",".join(given).split(",") if given else []:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not 0 <= value < float("inf"):
            raise UserError(f"a beta is a number from 0 up, got {text[:80]!r}; write --beta 4 or --beta 0,4,16")
        values.append(value)
    return list(dict.fromkeys(values)) or [None]


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", name).strip("._") or "policy"


hub_cli.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    run_app(app, "lmrl-eval", arguments)


if __name__ == "__main__":
    main()
