"""The one episode loop: a recorder keeps what a simulator and an agent say, alone or in a rollout of many episodes."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from lmrl_data.episode import Episode, Turn
from lmrl_data.policy import LONGEST_ACTION, Conversation, Policy
from lmrl_data.simulator import DialogueSimulator, Oracle, Simulator, Step
from lmrl_data.task import Task

ORDINARY: Mapping[str, Any] = {"valid": True}  # the info of most steps: nothing to record


# Turns are immutable and often equal, and the look-up takes a quarter of the time that making one does.
@lru_cache(maxsize=4096)
def _observation(text: str) -> Turn:
    return Turn("user", text)


@lru_cache(maxsize=4096)
def _action(text: str, reward: float) -> Turn:
    return Turn("assistant", text, reward)


class EpisodeRecorder:
    """Records the episodes that a simulator plays, one after the other.

    `begin` starts an episode, `add` records each step, and `finish` makes the `Episode`.

    Args:
        task_id (`str`): fills the `task` column.
        simulator (`Simulator`): what is played; `begin` resets it.
        history (`int`, *optional*): how many of the latest texts a policy sees; `None`: all.
        max_turns (`int`, *optional*): cuts the episode (truncated) after so many actions.

    Attributes:
        conversation (`Conversation`): the running episode as its policy sees it.
        info (`dict`): the episode's `info` so far.
        terminated (`bool`), truncated (`bool`): whether and how the episode has ended.

    Examples:
        >>> from lmrl_data import get_task
        >>> simulator = get_task("maze").simulator()
        >>> recorder = EpisodeRecorder("maze", simulator)
        >>> _ = recorder.begin(seed=0, options={"start": [7, 6]})
        >>> recorder.add("move down", simulator.step("move down"))
        True
        >>> recorder.finish("me").total_reward
        0.0
    """

    def __init__(
        self, task_id: str, simulator: Simulator, history: int | None = None, max_turns: int | None = None
    ) -> None:
        self.task_id, self.simulator, self.history = task_id, simulator, history
        # Counted in texts: the first observation, then two a turn.
        self._max_texts = float("inf") if max_turns is None else 2 * max_turns

    def begin(self, seed: int, options: Mapping[str, Any] | None = None, index: int = 0) -> str:
        """Resets the simulator and starts an episode.

        Args:
            seed (`int`): of the reset.
            options (`Mapping`, *optional*): reset options.
            index (`int`, *optional*, defaults to `0`): index of the episode in its rollout.

        Returns:
            `str`: the first observation.
        """
        observation, info = self.simulator.reset(seed=seed, options=dict(options or {}))
        self.turns = [_observation(observation)]
        self.conversation = Conversation(seed, self.history, self.turns, index=index)
        self.info = {**info, "success": False, "invalid": 0}
        self.terminated = self.truncated = False
        return observation

    def add(self, action: str, step: Step) -> bool:
        """Records an action and the step that answers it.

        Args:
            action (`str`): the agent's text, without the final newline that the simulator ignores.
            step (`Step`): what the simulator's `step` returned.

        Returns:
            `bool`: whether the episode has ended.
        """
        observation, reward, terminated, truncated, info = step
        turns = self.turns
        turns.append(_action(action, reward))
        turns.append(_observation(observation))
        if info != ORDINARY:
            self._add_info(info)
        if truncated or len(turns) > self._max_texts:
            self.truncated = truncated = True
        self.terminated = terminated
        return terminated or truncated

    def _add_info(self, info: Mapping[str, Any]) -> None:
        self.info["invalid"] += not info.get("valid", True)
        if info.get("history_reset", False):
            self.conversation.start = len(self.turns) - 1
        turn_info = self.simulator.turn_info
        for key, value in info.items():
            if key not in turn_info:
                self.info[key] = value

    def finish(self, policy: str) -> Episode:
        """The episode so far; where it has not ended by itself, it is cut short (truncated) here.

        Args:
            policy (`str`): fills the `policy` column.
        """
        return Episode(
            self.task_id,
            self.simulator.config,
            tuple(self.turns),
            self.terminated,
            not self.terminated,
            self.conversation.seed,
            policy,
            self.info,
        )


def play_episode(
    task_id: str,
    simulator: Simulator,
    seed: int,
    name: str,
    act: Callable[[str], str],
    *,
    options: Mapping[str, Any] | None = None,
    max_turns: int | None = None,
) -> Episode:
    """Plays one episode by asking `act` for the action to each observation.

    Args:
        task_id (`str`): fills the `task` column.
        simulator (`Simulator`): plays it.
        seed (`int`): of the reset.
        name (`str`): fills the `policy` column.
        act (`Callable[[str], str]`): from the newest observation to an action; it may look at the simulator.
        options (`Mapping`, *optional*): reset options.
        max_turns (`int`, *optional*): cuts the episode (truncated) after so many actions.
    """
    recorder = EpisodeRecorder(task_id, simulator, max_turns=max_turns)
    observation, ended = recorder.begin(seed, options), False
    while not ended:
        action = act(observation)
        step = simulator.step(action)
        ended = recorder.add(action.removesuffix("\n"), step)
        observation = step[0]
    return recorder.finish(name)


def rollout(
    task: Task,
    config: str,
    policy: Policy,
    seeds: Sequence[int],
    *,
    options: Sequence[Mapping[str, Any]] | None = None,
    batch_size: int = 32,
    max_turns: int | None = None,
    cut: Callable[[Conversation], bool] | None = None,
    oracle: Oracle[Any] | None = None,
    simulator_options: Mapping[str, Any] | None = None,
    on_episode: Callable[[Episode], None] | None = None,
) -> list[Episode]:
    """Plays one episode per seed and returns them in the order of the seeds.

    Args:
        task (`Task`): what is played.
        config (`str`): the task's config.
        policy (`Policy`): plays the assistant; asked once per turn for all running episodes.
        seeds (`Sequence[int]`): one per episode.
        options (`Sequence[Mapping]`, *optional*): reset options, one per episode.
        batch_size (`int`, *optional*, defaults to `32`): how many episodes run at the same time.
        max_turns (`int`, *optional*): cuts an episode (truncated) after so many actions.
        cut (`Callable`, *optional*): asked after every turn whether to cut the episode there (truncated).
        oracle (`Oracle`, *optional*): answers for all dialogue simulators; their own oracles otherwise.
        simulator_options (`Mapping`, *optional*): reset options of all episodes; `options` override them.
        on_episode (`Callable`, *optional*): called with each episode as it ends, e.g. to move a progress bar.

    Raises:
        ValueError: if the policy does not return one text per conversation.
    """
    history = task.config(config).history
    waiting = deque((seed, options[index] if options else {}, index) for index, seed in enumerate(seeds))
    episodes: dict[int, Episode] = {}
    recorders = [
        EpisodeRecorder(task.id, task.simulator(config=config, options=simulator_options), history, max_turns)
        for _ in range(min(max(1, batch_size), len(waiting)))
    ]
    for recorder in recorders:
        recorder.begin(*waiting.popleft())
    step_all = _stepper([recorder.simulator for recorder in recorders], oracle)
    while recorders:
        simulators = [recorder.simulator for recorder in recorders]
        conversations = [recorder.conversation for recorder in recorders]
        ended: list[EpisodeRecorder] = []
        while not ended:
            actions, recorded = _check(policy.act(conversations), len(recorders), policy.name)
            steps = step_all(simulators, actions)
            for recorder, action, step in zip(recorders, recorded, steps, strict=True):
                if recorder.add(action, step) or (cut is not None and cut(recorder.conversation)):
                    ended.append(recorder)
        for recorder in ended:
            episode = recorder.finish(policy.name)
            episodes[recorder.conversation.index] = episode
            if on_episode:
                on_episode(episode)
            if waiting:
                recorder.begin(*waiting.popleft())
            else:
                recorders.remove(recorder)
    return [episodes[index] for index in range(len(episodes))]


def _check(actions: Sequence[str], count: int, name: str) -> tuple[Sequence[str], Sequence[str]]:
    """A policy's actions, no longer than is read, as simulators get them, and as they are recorded: without a final
    newline.

    Raises:
        ValueError: if they are not `count` texts.
    """
    try:
        # One call for the whole batch checks that all are texts, and mostly that no text needs a change.
        text = "".join(actions)
    except TypeError:
        text = None
    if text is None or len(actions) != count:
        raise ValueError(f"{name} must return {count} texts, one per conversation")
    if len(text) > LONGEST_ACTION:  # of all; mostly no single one is as long
        actions = [action[:LONGEST_ACTION] for action in actions]
    if not text.isascii():
        # Half a surrogate pair is text to Python, but can neither be stored nor tokenized.
        actions = [action.encode("utf-8", "replace").decode("utf-8") for action in actions]
    return actions, [action.removesuffix("\n") for action in actions] if "\n" in text else actions


def _stepper(
    simulators: Sequence[Simulator], oracle: Oracle[Any] | None
) -> Callable[[Sequence[Any], Sequence[str]], list[Step]]:
    """What steps a batch of simulators; dialogue simulators that share an oracle ask it together."""
    dialogues = [simulator for simulator in simulators if isinstance(simulator, DialogueSimulator)]
    if oracle is None and len({id(dialogue.oracle) for dialogue in dialogues}) == 1:
        oracle = dialogues[0].oracle
    if oracle is None or len(dialogues) < len(simulators):
        return _step_each

    def step_together(simulators: Sequence[Any], actions: Sequence[str]) -> list[Step]:
        prompts = [simulator.ask(action) for simulator, action in zip(simulators, actions, strict=True)]
        replies = oracle.answer(prompts)
        return [simulator.finish(reply) for simulator, reply in zip(simulators, replies, strict=True)]

    return step_together


def _step_each(simulators: Sequence[Any], actions: Sequence[str]) -> list[Step]:
    return [simulator.step(action) for simulator, action in zip(simulators, actions, strict=True)]
