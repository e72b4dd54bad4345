"""Agreement: how often a model as oracle replies as the rules do, in dialogues of the dataset."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lmrl_data.dialogue.simulator import reply_line
from lmrl_data.errors import UserError
from lmrl_data.task import EVALUATION_SEED, Task
from lmrl_data.text import markdown_line, one_line
from lmrl_eval.oracles.model import Answer, ModelOracle
from lmrl_eval.oracles.replay import DialogueReplay
from lmrl_eval.report import figure_of, save_report
from lmrl_eval.results import check_episodes
from lmrl_eval.score import oracle_label

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROWS, BARS = 40, 20  # of the table and the figure: the topics with the most faults
N_RESAMPLES = 2_000


class Asked(NamedTuple):
    """One turn of a replayed episode.

    Args:
        seed (`int`): the seed of the episode.
        label (`str`): the topic of the turn, as the simulator names it.
        grounded (`str`): the reply of the rules.
        answer (`Answer`): the answer of the oracle.
    """

    seed: int
    label: str
    grounded: str
    answer: Answer

    @property
    def agrees(self) -> bool | None:
        """Whether both replies begin with the same yes or no; `None` where the rules' reply begins with neither."""
        expected = yes_or_no(self.grounded)
        if expected is None:
            return None
        return not self.answer.replaced and yes_or_no(self.answer.reply) == expected


def yes_or_no(reply: str) -> str | None:
    """The yes or no at the beginning of a reply.

    Examples:
        >>> yes_or_no("Yes, it has four legs."), yes_or_no("Not now.")
        ('yes', None)
    """
    match = re.match(r"\W{0,5}(yes|no)\b", reply, re.IGNORECASE)
    return match[1].lower() if match else None


class Share(NamedTuple):
    """Shares among some of the turns.

    Args:
        asked (`int`): number of turns.
        replaced (`float`): share of turns that the oracle never answered.
        compared (`int`): number of turns with a yes or no.
        agreement (`float`, *optional*): share of these where the oracle agrees.
    """

    asked: int
    replaced: float
    compared: int
    agreement: float | None

    @classmethod
    def of(cls, turns: Sequence[Asked]) -> "Share":
        compared = [turn.agrees for turn in turns if turn.agrees is not None]
        replaced = sum(turn.answer.replaced for turn in turns) / len(turns)
        return cls(len(turns), replaced, len(compared), sum(compared) / len(compared) if compared else None)


@dataclass(frozen=True)
class Agreement:
    """The result of comparing an oracle with the simulator's own replies.

    A reply agrees if it begins with the same yes or no as the simulator's own reply. Turns where that begins with
    neither are not compared. A replaced reply never agrees, whatever the fallback is.

    Args:
        task (`str`), task_version (`str`), config (`str`), oracle (`Mapping`): the dialogues and the oracle.
        seed (`int`), n_episodes (`int`): the first seed and the number of replayed episodes.
        total (`Share`): all turns.
        regenerated (`float`): share of turns whose reply was requested more than once.
        unreadable (`float`), refused (`float`): the two parts of `regenerated`: the first text was not one line of
            plain text, or it was a line that the simulator refuses, e.g. neither yes nor no, or with the secret in it.
        interval (`tuple`, *optional*): the 95 % interval of the agreement, bootstrapped over the episodes.
        by_reply (`Mapping[str, Share]`): by the simulator's yes or no; exposes an oracle that always says the same.
        by_label (`Mapping[str, Share]`): by topic, most faults first.
    """

    task: str
    task_version: str
    config: str
    oracle: Mapping[str, Any]
    seed: int
    n_episodes: int
    total: Share
    regenerated: float
    unreadable: float
    refused: float
    interval: tuple[float, float] | None
    by_reply: Mapping[str, Share]
    by_label: Mapping[str, Share]

    def to_json(self) -> str:
        """The text of an `agreement.json`."""
        groups = {
            name: {key: share._asdict() for key, share in getattr(self, name).items()}
            for name in ("by_reply", "by_label")
        }
        return json.dumps(asdict(self) | {"total": self.total._asdict()} | groups, indent=2, allow_nan=False) + "\n"


def measure(
    oracle: ModelOracle,
    task: Task,
    config: str | None = None,
    *,
    n_episodes: int = 100,
    seed: int = EVALUATION_SEED,
    batch_size: int = 64,
) -> Agreement:
    """Replays episodes of the dataset's behavior policies and asks the oracle at every turn.

    The dialogue goes on with the simulator's own reply, so every oracle gets the same questions.

    Args:
        oracle (`ModelOracle`): the oracle to compare.
        task (`Task`): a dialogue task.
        config (`str`, *optional*): the task's config; its default one otherwise.
        n_episodes (`int`, *optional*, defaults to `100`): number of episodes.
        seed (`int`, *optional*, defaults to `2_000_000`): the first seed; seeds of the dataset are smaller.
        batch_size (`int`, *optional*, defaults to `64`): how many episodes run at the same time.

    Raises:
        UserError: for a setting out of range, or if the rules decide every reply.
    """
    config = config or task.default_config
    task.config(config)
    check_episodes(n_episodes)
    if n_episodes < 2 or batch_size < 1 or not 0 <= seed < 2**62:
        raise UserError("give at least 2 episodes, a batch of at least 1 and a seed from 0 upwards")
    player = task.simulator(config=config)
    turns: list[Asked] = []
    for first in range(seed, seed + n_episodes, batch_size):
        seeds = range(first, min(first + batch_size, seed + n_episodes))
        running = [DialogueReplay(task.simulator(config=config), task.generate(player, seed)) for seed in seeds]
        roles = running[0].simulator.roles
        while running:
            prompts = [(replay, prompt) for replay in running if (prompt := replay.ask()) is not None]
            answers = oracle.ask([prompt for _, prompt in prompts])
            for (replay, prompt), answer in zip(prompts, answers, strict=True):
                turns.append(Asked(replay.episode.seed, replay.finish(), prompt.grounded, answer))
            running = [replay for replay, _ in prompts]
    if not turns:
        raise UserError(f"in {n_episodes} episodes of {task.id} the rules spoke alone: there was nothing to ask")
    regenerated = [turn.answer.texts[0] for turn in turns if len(turn.answer.texts) > 1]
    unreadable = sum(reply_line(text, roles) is None for text in regenerated)
    labels = {label: Share.of(members) for label, members in _groups(turns, lambda turn: turn.label).items()}
    replies = _groups(turns, lambda turn: yes_or_no(turn.grounded) or "")
    return Agreement(
        task=task.id,
        task_version=task.version,
        config=config,
        oracle=oracle.describe(),
        seed=seed,
        n_episodes=n_episodes,
        total=Share.of(turns),
        regenerated=len(regenerated) / len(turns),
        unreadable=unreadable / len(turns),
        refused=(len(regenerated) - unreadable) / len(turns),
        interval=_interval(turns, seed),
        by_reply={name: Share.of(replies[name]) for name in ("yes", "no") if name in replies},
        by_label=dict(sorted(labels.items(), key=lambda item: _badness(*item))),
    )


def _groups(turns: Sequence[Asked], key: Any) -> dict[str, list[Asked]]:
    groups: dict[str, list[Asked]] = {}
    for turn in turns:
        groups.setdefault(key(turn), []).append(turn)
    return groups


def _badness(label: str, share: Share) -> tuple[float, float, str]:
    # By turns and not by share: the share of a topic asked once is 0 or 100 %. Without a yes or no, only a missing
    # answer is a visible fault.
    wrong = 0.0 if share.agreement is None else share.compared * (1 - share.agreement)
    faults = max(wrong, share.asked * share.replaced)
    return (-faults, -faults / share.asked, label)


def _interval(turns: Sequence[Asked], seed: int) -> tuple[float, float] | None:
    """Bootstrapped over the episodes and not the turns: the turns of an episode are about the same secret."""
    episodes: dict[int, list[bool]] = {}
    for turn in turns:
        if turn.agrees is not None:
            episodes.setdefault(turn.seed, []).append(turn.agrees)
    if len(episodes) < 2:
        return None
    agreed, compared = (np.array([count(answers) for answers in episodes.values()]) for count in (sum, len))
    size = len(episodes)
    draws = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=N_RESAMPLES)
    low, high = np.quantile((draws @ agreed) / (draws @ compared), [0.025, 0.975])
    return float(low), float(high)


def markdown(agreement: Agreement) -> str:
    """The comparison as Markdown: the shares, then a table of topics, most faults first."""
    total = agreement.total
    lines = [
        f"### {markdown_line(f'{agreement.task}, {agreement.config} (version {agreement.task_version})')}",
        "",
    ]
    lines += [f"Oracle {markdown_line(oracle_label(agreement.oracle))}, beside the simulator's own replies.", ""]
    lines += ["| what | turns | share |", "|---|---:|---:|"]
    lines.append(f"| asked | {total.asked} | |")
    for name in ("regenerated", "unreadable", "refused"):
        lines.append(f"| {name} | | {getattr(agreement, name):.1%} |")
    lines.append(f"| replaced | | {total.replaced:.1%} |")
    if total.agreement is not None and agreement.interval is not None:
        low, high = agreement.interval
        lines.append(f"| **agreement** (95 %: {low:.1%} to {high:.1%}) | {total.compared} | {total.agreement:.1%} |")
    for name, share in agreement.by_reply.items():
        lines.append(f"| agreement where it is {name} | {share.compared} | {share.agreement:.1%} |")
    shown = list(agreement.by_label.items())[:ROWS]
    lines += ["", f"By what was asked about, most faults first ({len(shown)} of {len(agreement.by_label)}):", ""]
    lines += ["| about | turns | replaced | compared | agreement |", "|---|---:|---:|---:|---:|"]
    for label, share in shown:
        agreed = "" if share.agreement is None else f"{share.agreement:.1%}"
        lines.append(
            f"| {markdown_line(label)} | {share.asked} | {share.replaced:.1%} | {share.compared} | {agreed} |"
        )
    last = agreement.seed + agreement.n_episodes - 1
    lines += ["", f"Seeds {agreement.seed} to {last}. A reply agrees if it begins with the same yes or no."]
    lines += ["What was never answered (replaced) does not agree.", ""]
    return "\n".join(lines)


def figure(agreement: Agreement) -> "Figure":
    """Bars of the agreement (or of the answered share) by topic (number of turns), most faults first."""
    compared = agreement.total.agreement is not None
    shares = {
        f"{one_line(label, 30)} ({share.compared if compared else share.asked})": (
            share.agreement if compared else 1 - share.replaced
        )
        for label, share in agreement.by_label.items()
        if not compared or share.agreement is not None
    }
    shown = dict(list(shares.items())[:BARS])
    picture, panels = figure_of(6, 1.2 + 0.2 * len(shown))
    axes = panels[0]
    axes.barh(range(len(shown)), list(shown.values()), color="C0", height=0.7)
    axes.set_yticks(range(len(shown)), list(shown), parse_math=False, fontsize=7)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlim(0, 1)
    if agreement.total.agreement is not None:
        axes.axvline(agreement.total.agreement, color="0.4", linewidth=1, linestyle="--")
    axes.set_xlabel("agreement with the simulator (dashed: overall)" if compared else "share answered")
    title = f"{one_line(agreement.task)}, oracle {one_line(oracle_label(agreement.oracle), 50)}"
    axes.set_title(title, fontsize=9, parse_math=False)
    return picture


def write_agreement(agreement: Agreement, folder: str | Path) -> str:
    """Writes `agreement.json`, `agreement.md` and `agreement.png`; returns the Markdown.

    Raises:
        UserError: if Matplotlib is missing, or the folder cannot be written.
    """
    text = markdown(agreement)
    files: dict[str, Any] = {
        "agreement.json": agreement.to_json(),
        "agreement.md": f"{text}\n![agreement](agreement.png)\n",
        "agreement.png": figure(agreement),
    }
    save_report(folder, files, "agreement")
    return text
