"""The commands of `lmrl-eval` that use the Hub: publish results and checkpoints, verify scores, rank them."""

import shlex
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Annotated

import typer

from lmrl_data.terminal import print_markdown

if TYPE_CHECKING:
    from lmrl_eval.verify import Verification

ModelOption = Annotated[str, typer.Option(help="Model repo on the Hub.", metavar="ORG/NAME")]
NamespaceOption = Annotated[str, typer.Option(help="Whose datasets the benchmarks are.", metavar="NAME")]
CreatePrOption = Annotated[bool, typer.Option("--create-pr", help="As a pull request, for a repo that is not yours.")]


def push(
    results: Annotated[Path, typer.Argument(help="A results folder that `lmrl-eval run` wrote.", show_default=False)],
    model: ModelOption,
    create_pr: CreatePrOption = False,
    namespace: NamespaceOption = "lmrl",
    episodes_repo: Annotated[
        str | None,
        typer.Option(help="Dataset for the episodes; OWNER/NAME-lmrl-episodes by default.", metavar="ORG/NAME"),
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new dataset of episodes private.")] = False,
) -> None:
    """Publish a score with its episodes.

    The episodes become a dataset, and the score an entry in the model's repo. The episodes are replayed first, and a
    score that differs from theirs is refused. Pushing the same results again changes nothing. The token is that of
    `hf auth login`, or HF_TOKEN.

    \b
    Examples:
      lmrl-eval push results/maze/bc --model my-name/maze-bc
      lmrl-eval push results/maze/bc --model someone/model --create-pr
    """
    from lmrl_eval.hub.push_results import push_results

    pushed = push_results(
        results,
        model,
        namespace=namespace,
        create_pr=create_pr,
        private=private,
        episodes_repo=episodes_repo,
        progress=True,
    )
    _print_verification(str(results), pushed.verification)
    for published in (pushed.episodes, pushed.model):
        typer.echo(published.describe())


def push_model(
    folder: Annotated[Path, typer.Argument(help="A checkpoint folder that a recipe wrote.", show_default=False)],
    model: ModelOption,
    task: Annotated[str | None, typer.Option(help="Task it plays.", metavar="TASK")] = None,
    config: Annotated[
        str | None, typer.Option(help="Config of the task; its first one by default.", metavar="NAME")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="The YAML that it was trained with.", show_default=False)] = None,
    algorithm: Annotated[
        str | None, typer.Option(help="The algorithm that trained it, e.g. ilql; bc by default.", metavar="NAME")
    ] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repo private.")] = False,
    create_pr: CreatePrOption = False,
) -> None:
    """Publish a checkpoint with its card.

    Weights, tokenizer, recipe and figures are sent. The folder of a recipe of ours says what made it. For any other,
    e.g. of `trl sft`, give --task or --recipe.

    \b
    Examples:
      lmrl-eval push-model runs/maze/ilql --model my-name/maze-ilql
      lmrl-eval push-model runs/maze/bc --model my-name/maze-bc --task maze
    """
    from lmrl_eval.hub.push_checkpoint import push_checkpoint

    published = push_checkpoint(
        folder,
        model,
        task=task,
        config=config,
        recipe=recipe,
        algorithm=algorithm,
        private=private,
        create_pr=create_pr,
    )
    typer.echo(published.describe())


def verify(
    target: Annotated[
        str,
        typer.Argument(
            help="A results folder, a model ORG/NAME, or a dataset of episodes datasets/ORG/NAME.", show_default=False
        ),
    ],
    namespace: NamespaceOption = "lmrl",
) -> None:
    """Check scores by replaying the published actions.

    The model is not needed. Every text and reward is compared with the simulator's, and the score is computed anew.
    The exit code is 0 if every score is verified, 1 if one is flagged or cannot be checked, and 2 if there is nothing
    to check.

    \b
    Examples:
      lmrl-eval verify results/maze/bc
      lmrl-eval verify my-name/maze-bc
      lmrl-eval verify datasets/my-name/maze-bc-lmrl-episodes
    """
    from lmrl_eval.verify import verify_results

    if Path(target).is_dir():
        verification = verify_results(target, progress=True)
        _print_verification(target, verification)
        statuses = [verification.status]
    else:
        verifications = _verify_published(target, namespace)
        for name, verification in verifications.items():
            _print_verification(name, verification)
        statuses = [verification.status for verification in verifications.values()]
    if not set(statuses) <= {"verified", "oracle"}:
        raise typer.Exit(1)


def _verify_published(target: str, namespace: str) -> "dict[str, Verification]":
    from lmrl_data.errors import UserError
    from lmrl_data.hub import check_repo_id, connect
    from lmrl_eval.leaderboard.collect import verify_dataset, verify_model

    repo_id = target.removeprefix("datasets/")
    try:
        check_repo_id(repo_id)
    except UserError:
        raise UserError(
            f"{target} is no folder here and no repo id; give a results folder, ORG/NAME, or datasets/ORG/NAME"
        ) from None
    try:
        api = connect(write=False)
        if repo_id != target:
            return verify_dataset(api, repo_id, progress=True)
        return verify_model(api, repo_id, namespace, _warn, progress=True)
    except UserError as error:
        if Path(target).parent.is_dir():  # rather a folder with a slip in its name
            raise UserError(f"{target} is no folder here, and {error}") from None
        raise


def leaderboard(
    namespace: NamespaceOption = "lmrl",
    task: Annotated[
        list[str] | None, typer.Option(help="A task, may be repeated; all by default.", metavar="TASK")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="One more model to look at, may be repeated.", metavar="ORG/NAME")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the page, the table and the figure.")] = Path("leaderboard"),
    push: Annotated[str | None, typer.Option(help="Publish the page as a static Space.", metavar="ORG/SPACE")] = None,
    create_pr: CreatePrOption = False,
) -> None:
    """Collect and verify published scores, and rank them.

    \b
    Examples:
      lmrl-eval leaderboard
      lmrl-eval leaderboard --task maze --model my-name/maze-bc
      lmrl-eval leaderboard --push my-name/lmrl-leaderboard
    """
    from lmrl_data.errors import UserError, require
    from lmrl_data.hub import check_repo_id, connect, publish
    from lmrl_eval.leaderboard.collect import collect
    from lmrl_eval.leaderboard.page import write_leaderboard

    tasks, models = task or [], model or []
    if push is not None:
        check_repo_id(push)
        connect()  # a missing token fails before the long run
    elif create_pr:
        raise UserError("--create-pr proposes what --push would publish; add --push ORG/SPACE")
    require("matplotlib.figure", extra="eval")
    try:
        out.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=out).close()
    except OSError as error:
        raise UserError(f"cannot write the leaderboard to {out}: {error.strerror or error}") from None
    entries = collect(namespace, tasks, models, warn=_warn, progress=True)
    # The page names the options that it depends on, which --out and --push are not.
    parts = ["lmrl-eval", "leaderboard", "--namespace", namespace]
    parts += [word for name in tasks for word in ("--task", name)]
    parts += [word for name in models for word in ("--model", name)]
    names = write_leaderboard(entries, out, command=shlex.join(parts))
    print_markdown((out / "leaderboard.md").read_text(encoding="utf-8").rstrip())
    typer.echo(f"wrote {out}")
    if push is not None:
        files = {name: out / name for name in names}
        message, stale = "LMRL-Gym leaderboard", ("leaderboard.png",)
        published = publish(
            connect(),
            push,
            "space",
            files,
            message=message,
            create_pr=create_pr,
            replaces=stale,
            marker="leaderboard.js",
        )
        typer.echo(published.describe())


def _print_verification(name: str, verification: "Verification") -> None:
    from lmrl_data.text import one_line
    from lmrl_eval.verify import describe

    first, *rest = describe(verification).split("\n")
    typer.echo("\n".join([f"{one_line(name, 300)}: {first}", *(f"  {line}" for line in rest)]))


def _warn(line: str) -> None:
    from lmrl_data.text import one_line

    typer.echo(f"warning: {one_line(line, 300)}", err=True)


def register(app: typer.Typer) -> None:
    """Adds the commands to `lmrl-eval`."""
    app.command()(push)
    app.command("push-model")(push_model)
    app.command()(verify)
    app.command()(leaderboard)
