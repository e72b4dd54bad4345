"""The rollout: a batched policy plays many episodes at once, and an ended one makes room for the next."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lmrl_data.episode import Episode, Turn
from lmrl_data.policy import Conversation, Policy
from lmrl_data.simulator import DialogueSimulator, Oracle, Simulator, Step
from lmrl_data.task import Task


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
    observation, info = simulator.reset(seed=seed, options=dict(options or {}))
    turns = [Turn("user", observation)]
    info = {**info, "success": False, "invalid": 0}
    terminated = truncated = False
    while not (terminated or truncated):
        action = act(observation)
        observation, reward, terminated, truncated, step_info = simulator.step(action)
        turns += (Turn("assistant", action, reward), Turn("user", observation))
        info["invalid"] += not step_info.get("valid", True)
        info.update({key: value for key, value in step_info.items() if key not in simulator.turn_info})
        truncated = truncated or (max_turns is not None and len(turns) // 2 >= max_turns)
    return Episode(task_id, simulator.config, tuple(turns), terminated, not terminated, seed, name, info)


class _Slot:
    """One simulator and the episode it is playing."""

    def __init__(self, simulator: Simulator, history: int | None) -> None:
        self.simulator = simulator
        self.history = history

    def begin(self, index: int, seed: int, options: Mapping[str, Any]) -> None:
        self.index = index
        observation, info = self.simulator.reset(seed=seed, options=dict(options))
        self.conversation = Conversation(seed, self.history, [Turn("user", observation)], index=index)
        self.info = {**info, "success": False, "invalid": 0}

    def record(self, action: str, step: Step) -> None:
        observation, reward, _, _, info = step
        self.info["invalid"] += not info.get("valid", True)
        if info.get("history_reset", False):
            self.conversation.start = len(self.conversation.turns) + 1
        self.info.update({key: value for key, value in info.items() if key not in self.simulator.turn_info})
        said = Turn("assistant", action.removesuffix("\n"), reward)
        self.conversation.turns += (said, Turn("user", observation))


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
        oracle (`Oracle`, *optional*): answers for all dialogue simulators; theirs otherwise.
        simulator_options (`Mapping`, *optional*): reset options of all episodes; `options` go before them.
        on_episode (`Callable`, *optional*): called with each episode as it ends, e.g. to move a progress bar.

    Raises:
        ValueError: if the policy does not return one text per conversation.
    """
    history = task.config(config).history
    waiting = deque((index, seed, options[index] if options else {}) for index, seed in enumerate(seeds))
    episodes: dict[int, Episode] = {}
    slots = [
        _Slot(task.simulator(config=config, options=simulator_options), history)
        for _ in range(min(max(1, batch_size), len(waiting)))
    ]
    for slot in slots:
        slot.begin(*waiting.popleft())
    while slots:
        actions = policy.act([slot.conversation for slot in slots])
        if len(actions) != len(slots) or not all(isinstance(action, str) for action in actions):
            raise ValueError(f"{policy.name} must return {len(slots)} texts, one per conversation")
        # Half a surrogate pair is text to Python, but can neither be stored nor tokenised.
        actions = [action.encode("utf-8", "replace").decode("utf-8") for action in actions]
        running = []
        for slot, action, step in zip(slots, actions, _step(slots, actions, oracle), strict=True):
            slot.record(action, step)
            turns = slot.conversation.turns
            terminated, truncated = step[2:4]
            truncated = truncated or (max_turns is not None and len(turns) // 2 >= max_turns)
            truncated = truncated or (cut is not None and cut(slot.conversation))
            if terminated or truncated:
                episode = Episode(
                    task.id, config, tuple(turns), terminated, not terminated, slot.conversation.seed,
                    policy.name, slot.info,
                )  # fmt: skip
                episodes[slot.index] = episode
                if on_episode:
                    on_episode(episode)
                if not waiting:
                    continue
                slot.begin(*waiting.popleft())
            running.append(slot)
        slots = running
    return [episodes[index] for index in range(len(episodes))]


def _step(slots: Sequence[_Slot], actions: Sequence[str], oracle: Oracle[Any] | None) -> list[Step]:
    """Steps every slot; dialogue simulators that share an oracle ask it together."""
    simulators = [slot.simulator for slot in slots if isinstance(slot.simulator, DialogueSimulator)]
    if oracle is None and len({id(simulator.oracle) for simulator in simulators}) == 1:
        oracle = simulators[0].oracle
    if oracle is None or len(simulators) < len(slots):
        return [slot.simulator.step(action) for slot, action in zip(slots, actions, strict=True)]
    replies = oracle.answer([simulator.ask(action) for simulator, action in zip(simulators, actions, strict=True)])
    return [simulator.finish(reply) for simulator, reply in zip(simulators, replies, strict=True)]
