"""The rollout keeps every seed in its place, every batch full and every dialogue in one call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from gymnasium import spaces
from gymnasium.error import ResetNeeded

from lmrl_data import Conversation, Episode, Policy, get_task, rollout
from lmrl_data.config import Config
from lmrl_data.rollout import EpisodeRecorder, play_episode
from lmrl_data.simulator import DialogueSimulator, Simulator, Step
from lmrl_data.task import Task

MAZE = get_task("maze")
FULLY, PARTIALLY = MAZE.configs


class Always(Policy):
    """Says the same line and counts how many conversations it is asked about each time."""

    def __init__(self, line: str) -> None:
        self.name = f"always {line}"
        self.line = line
        self.batches: list[int] = []

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        self.batches.append(len(conversations))
        return [self.line] * len(conversations)


class Returning(Policy):
    """Answers whatever it was given, however many were asked for."""

    name = "miscounter"

    def __init__(self, answer: list[object]) -> None:
        self.answer = answer

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return self.answer  # type: ignore[return-value]


# --- order, batches, limits


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_episodes_come_in_the_order_of_the_seeds_whatever_the_batch(batch_size: int) -> None:
    seeds = [11, 3, 3, 999, 0, 42, 7]
    policy = MAZE.policy("optimal", FULLY)
    episodes = rollout(MAZE, FULLY, policy, seeds, batch_size=batch_size)
    assert [episode.seed for episode in episodes] == seeds
    alone = [rollout(MAZE, FULLY, policy, [seed])[0] for seed in seeds]
    assert episodes == alone
    assert len({episode.num_turns for episode in episodes}) > 1  # they did not end together


def test_options_belong_to_the_seed_they_were_given_with() -> None:
    cells = [[1, 1], [7, 6], [5, 6]]
    episodes = rollout(
        MAZE,
        FULLY,
        MAZE.policy("optimal", FULLY),
        [0, 0, 0],
        options=[{"start": cell} for cell in cells],
        batch_size=2,
    )
    assert [episode.info["start"] for episode in episodes] == cells
    assert [episode.num_turns for episode in episodes] == [12, 1, 3]


def test_an_ended_episode_makes_room_for_the_next_at_once() -> None:
    policy = Always("move down")
    starts = [[6, 6]] * 3 + [[7, 6]] * 4
    rollout(MAZE, FULLY, policy, range(7), options=[{"start": cell} for cell in starts], batch_size=3)
    # Three episodes of two moves, then four of one move, three of them at a time.
    assert policy.batches == [3, 3, 3, 1]


def test_no_more_simulators_are_made_than_there_are_seeds() -> None:
    made = []

    def simulator(config: Config, options: Mapping[str, Any] | None = None) -> Simulator:
        made.append(config.name)
        return MAZE.simulator(config.name)

    rollout(replace(MAZE, simulator_class=simulator), FULLY, MAZE.policy("optimal", FULLY), [1, 2], batch_size=32)
    assert made == [FULLY, FULLY]


def test_no_seeds_give_no_episodes() -> None:
    policy = Always("move up")
    assert rollout(MAZE, FULLY, policy, []) == []
    assert policy.batches == []


def test_max_turns_truncates_an_episode_and_calls_it_no_success() -> None:
    episodes = rollout(MAZE, FULLY, Always("move up"), [0, 1, 2], max_turns=5)
    for episode in episodes:
        assert (episode.num_turns, episode.terminated, episode.truncated, episode.success) == (5, False, True, False)
        assert episode.total_reward == -5


def test_an_episode_that_ends_on_the_last_allowed_turn_is_terminated() -> None:
    (episode,) = rollout(MAZE, FULLY, Always("move down"), [0], options=[{"start": [6, 6]}], max_turns=2)
    assert (episode.terminated, episode.truncated, episode.success) == (True, False, True)


def test_invalid_actions_are_counted() -> None:
    (episode,) = rollout(MAZE, FULLY, Always("fly"), [0])
    assert (episode.info["invalid"], episode.success, episode.total_reward) == (100, False, -401)
    assert set(episode.info) == {"start", "success", "invalid"}  # nothing of a single step is left over


def test_each_episode_is_reported_as_it_ends() -> None:
    seen: list[Episode] = []
    options = [{"start": cell} for cell in ([5, 6], [7, 6], [6, 6])]
    rollout(MAZE, FULLY, Always("move down"), [10, 11, 12], options=options, on_episode=seen.append)
    assert [episode.seed for episode in seen] == [11, 12, 10]


@pytest.mark.parametrize("answer", [[], ["move up"], ["move up"] * 3, ["move up", None], ["move up", 7]])
def test_a_policy_must_return_one_text_per_conversation(answer: list[object]) -> None:
    with pytest.raises(ValueError, match="miscounter must return 2 texts, one per conversation"):
        rollout(MAZE, FULLY, Returning(answer), [0, 1])


def test_an_episode_keeps_an_action_without_its_final_newline_and_any_text_can_be_stored() -> None:
    (episode,) = rollout(MAZE, FULLY, Always("move down\n"), [0], options=[{"start": [7, 6]}])
    assert (episode.turns[1].content, episode.success) == ("move down", True)
    (episode,) = rollout(MAZE, FULLY, Always("half a pair \ud800\0"), [0], max_turns=1)
    assert episode.turns[1].content.encode("utf-8") == b"half a pair ?\0"


# --- what the policy sees


class Watching(Policy):
    """Says one line after the other and keeps what it saw and of which seed."""

    name = "watching"

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.seen: list[list[str]] = []
        self.identities: set[tuple[int, int]] = set()

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        (conversation,) = conversations
        self.identities.add((id(conversation), conversation.seed))
        self.seen.append([turn.content for turn in conversation.visible])
        return [self.lines[(len(self.seen) - 1) % len(self.lines)]]


def test_a_history_of_one_shows_the_newest_text_only() -> None:
    policy = Watching("move up", "move down")
    (episode,) = rollout(MAZE, FULLY, policy, [5], max_turns=6)
    assert policy.seen == [[turn.content] for turn in episode.turns[:-1:2]]


def test_a_history_of_forty_shows_the_latest_forty_texts() -> None:
    policy = Watching("move up", "move down")
    (episode,) = rollout(MAZE, PARTIALLY, policy, [5], options=[{"start": [1, 3]}], max_turns=30)
    texts = [turn.content for turn in episode.turns]
    assert policy.seen == [texts[max(0, 2 * turn - 39) : 2 * turn + 1] for turn in range(30)]


def test_a_history_reset_hides_what_came_before_but_not_from_the_episode() -> None:
    policy = Watching("move up", "fly", "move up")
    (episode,) = rollout(MAZE, PARTIALLY, policy, [0], options=[{"start": [1, 3]}], max_turns=4)
    assert [len(texts) for texts in policy.seen] == [1, 3, 1, 3]
    assert [turn.content for turn in episode.turns[1::2]] == ["move up", "fly", "move up", "move up"]


def test_a_conversation_is_one_object_from_the_first_turn_to_the_last() -> None:
    policy = Watching("move up")
    rollout(MAZE, FULLY, policy, [8], max_turns=5)
    assert len(policy.identities) == 1
    assert {seed for _, seed in policy.identities} == {8}


# --- dialogues


class Counting:
    """An oracle that answers `yes` to what ends with the secret and keeps the sizes of the batches."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def answer(self, prompts: Sequence[str]) -> list[str]:
        self.batches.append(len(prompts))
        return ["yes" if prompt.split(": ")[0] == prompt.split(": ")[1] else "no" for prompt in prompts]


class Guessing(DialogueSimulator):
    """Guess a digit; the oracle says whether it is right. Five tries."""

    observation_space = spaces.Text(8)
    action_space = spaces.Text(8)

    def _reset(self, options: dict[str, object]) -> tuple[str, dict[str, object]]:
        self.secret = str(self.np_random.integers(4))
        self.tries = 0
        return "guess", {"secret": self.secret}

    def prompt(self, action: str) -> str:
        self.tries += 1
        return f"{self.secret}: {action}"

    def advance(self, reply: str) -> Step:
        right = reply == "yes"
        return reply, float(not right) * -1, right, not right and self.tries == 5, {"valid": True, "success": right}


class Upwards(Policy):
    """Guesses 0, 1, 2, …, ending each line as raw-text policies do."""

    name = "upwards"

    def act(self, conversations: Sequence[Conversation]) -> list[str]:
        return [f"{len(conversation.turns) // 2}\n" for conversation in conversations]


def guessing(oracle: Counting | None) -> Task:
    """With one oracle for all simulators, or one for each."""
    config = {"digits": Config("digits", "", history=None, reference=MAZE.config().reference)}
    return replace(
        MAZE,
        id="guessing",
        configs=config,
        simulator_class=lambda config, options=None: Guessing(config, oracle or Counting()),
    )


def test_dialogues_that_share_an_oracle_ask_it_once_per_turn() -> None:
    shared = Counting()
    episodes = rollout(guessing(Counting()), "digits", Upwards(), range(40), batch_size=40, oracle=shared)
    running = [sum(int(episode.info["secret"]) >= turn for episode in episodes) for turn in range(4)]
    assert shared.batches == running
    assert {episode.info["secret"] for episode in episodes} == set("0123")
    assert all(episode.total_reward == -int(episode.info["secret"]) for episode in episodes)


def test_a_shared_oracle_changes_how_often_it_is_asked_and_nothing_else() -> None:
    own, given = Counting(), Counting()
    alone = rollout(guessing(None), "digits", Upwards(), range(12), batch_size=5)
    assert rollout(guessing(own), "digits", Upwards(), range(12), batch_size=5) == alone
    assert rollout(guessing(None), "digits", Upwards(), range(12), batch_size=5, oracle=given) == alone
    assert own.batches == given.batches
    assert max(own.batches) == 5


def test_a_dialogue_refuses_turns_after_its_end_asked_either_way() -> None:
    simulator = guessing(Counting()).simulator()
    with pytest.raises(ResetNeeded):
        simulator.ask("0")
    simulator.reset(seed=0)
    assert simulator.finish("no")[2] is False
    assert simulator.finish("yes")[2] is True
    for ask in (simulator.ask, simulator.step):
        with pytest.raises(ResetNeeded):
            ask("0")


# --- the recorder


def test_a_recorder_records_one_episode_after_the_other() -> None:
    simulator = MAZE.simulator()
    recorder = EpisodeRecorder("maze", simulator, history=1)
    episodes = []
    for seed in (3, 4):
        assert recorder.begin(seed, {"start": [6, 6]}) == recorder.conversation.turns[0].content
        for action in ("move left\n", "fly", "move down", "move down"):
            ended = recorder.add(action.removesuffix("\n"), simulator.step(action))
            assert recorder.conversation.visible == recorder.conversation.turns[-1:]
        assert ended
        episodes.append(recorder.finish("me"))
    first, second = episodes
    assert (first.seed, second.seed) == (3, 4)
    assert first.turns == second.turns
    assert [turn.reward for turn in first.turns[1::2]] == [-1, -4, -1, 0]
    assert (first.terminated, first.truncated, first.policy) == (True, False, "me")
    assert first.info == {"start": [6, 6], "success": True, "invalid": 1}


def test_a_recorder_hides_the_past_where_the_simulator_says_so_and_cuts_at_the_limit() -> None:
    simulator = MAZE.simulator("partially_observed")
    recorder = EpisodeRecorder("maze", simulator, history=40, max_turns=3)
    recorder.begin(0, {"start": [1, 1]})
    ends = [recorder.add(action, simulator.step(action)) for action in ("move right", "fly", "move right")]
    assert ends == [False, False, True]
    assert recorder.conversation.visible == recorder.conversation.turns[4:]
    episode = recorder.finish("me")
    assert (episode.terminated, episode.truncated, episode.num_turns) == (False, True, 3)


def test_replaying_is_the_same_loop_with_recorded_actions() -> None:
    simulator = MAZE.simulator()
    for seed in range(20):
        episode = MAZE.generate(simulator, seed)
        actions = iter([turn.content for turn in episode.turns if turn.role == "assistant"])
        assert episode == play_episode(
            "maze",
            simulator,
            seed,
            episode.policy,
            lambda _, actions=actions: next(actions),
            options={"start": episode.info["start"]},
            max_turns=episode.num_turns,
        )
