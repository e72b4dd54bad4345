"""The rollout of the online recipes: what is trained on are the very tokens that were read and sampled."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from random_model import TOKENIZERS, make_model
from toy_dialogue import TASK as TOY
from toy_dialogue import Scripted

from lmrl_data import Conversation, Task, get_task
from lmrl_data.rollout import rollout
from lmrl_data.tasks.maze.grid import ACTIONS
from lmrl_data.tokenization import TurnTokenizer
from lmrl_eval.policies.language_model import choose
from lmrl_recipes.training.rollout import RolloutPolicy, TokenSequence, Trajectory, play

pytestmark = pytest.mark.slow

MAZE, WORDLE = get_task("maze"), get_task("wordle")
MOVES = list(ACTIONS)
# A Markov task, a window, a full history, and a dialogue; with how many actions an episode may have.
GAMES: list[tuple[Task, str, int]] = [
    (MAZE, "fully_observed", 5), (MAZE, "partially_observed", 5), (WORDLE, "words_200", 6), (TOY, "closed", 4)
]  # fmt: skip
POLICIES = [("llama", "raw"), ("gpt2", "raw"), ("llama", "chatml")]


class Recorder(RolloutPolicy):
    """The rollout policy, with what it read and sampled at every action, by episode."""

    def start(self, noise: Sequence[Sequence[int]]) -> None:
        super().start(noise)
        self.seen: dict[int, list[tuple[list[int], list[int]]]] = getattr(self, "seen", {}) if not noise else {}

    def sample(self, conversations: Sequence[Conversation], prompts: Sequence[Any]) -> list[list[int]]:
        written = super().sample(conversations, prompts)
        for conversation, prompt, ids in zip(conversations, prompts, written, strict=True):
            self.seen.setdefault(conversation.index, []).append((list(prompt.ids), list(ids)))
        return written


def make_policy(kind: str = "llama", template: str = "raw", **settings: Any) -> Recorder:
    defaults: dict[str, Any] = {"name": "tested", "max_new_tokens": 4}
    return Recorder(make_model(kind), TOKENIZERS[template], **defaults | settings)


def walker(
    template: str = "raw", *, wrong: Sequence[int] = (), letters: bool = False, moves: Sequence[str] = MOVES[:2]
) -> Recorder:
    """A policy that does not ask its model: it says `moves` in turn, and nonsense at the actions numbered `wrong`.

    `letters`: with a token for every letter, as the tokenizer would not write it.
    """
    tokenizer = TOKENIZERS[template]
    turns, count = TurnTokenizer(tokenizer), [0]

    def generate(prompts: list[list[int]]) -> list[list[int]]:
        text = "nonsense" if count[0] in wrong else moves[count[0] % len(moves)]
        pieces = list(text) if letters else [text]
        count[0] += 1
        ids = [token for piece in pieces for token in turns.content_ids(piece)] + turns.action_end
        return [ids for _ in prompts]

    return make_policy("llama", template, max_new_tokens=40, generate=generate)


def run(policy: Recorder, game: tuple[Task, str, int], count: int = 6, **settings: Any) -> list[Trajectory]:
    task, config, max_turns = game
    defaults: dict[str, Any] = {"noise": [(7, index) for index in range(count)], "max_turns": max_turns}
    return play(policy, task, config, range(count), **defaults | settings).trajectories


def acted(sequence: TokenSequence) -> list[int]:
    return [token for token, on in zip(sequence.input_ids, sequence.action_mask, strict=True) if on]


def by_hand(policy: Recorder, index: int, episode: Any) -> TokenSequence:
    """A full history, turn by turn: texts as the tokenizer writes them, actions as they were sampled, and the end of
    an action where the policy left it out."""
    expected, actions = TokenSequence(), iter(policy.seen[index])
    for place, turn in enumerate(episode.turns[:-1]):
        if turn.role == "user":
            expected.extend(policy.turns.observation_ids([turn], first=place == 0), 0)
            continue
        _, sampled = next(actions)
        expected.extend(sampled, 1)
        expected.rewards[-1] = turn.reward
        if place < len(episode.turns) - 2:
            expected.extend(policy.turns.with_end(sampled)[len(sampled) :], 0)
    return expected


# --- token in, token out


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game[1])
@pytest.mark.parametrize(("kind", "template"), POLICIES)
def test_the_marked_tokens_are_those_that_were_sampled_and_the_rest_is_what_was_read(
    kind: str, template: str, game: tuple[Task, str, int]
) -> None:
    policy = make_policy(kind, template)
    for index, trajectory in enumerate(run(policy, game)):
        sequences = trajectory.sequences
        sampled = [token for _, written in policy.seen[index] for token in written]
        assert [token for sequence in sequences for token in acted(sequence)] == sampled
        # Every prompt stands, to the token, before the action that it led to.
        stretches = [
            (sequence.input_ids[:place], sequence)
            for sequence in sequences
            for place, on in enumerate(sequence.action_mask)
            if on and not sequence.action_mask[place - 1]
        ]
        assert [before for before, _ in stretches] == [prompt for prompt, _ in policy.seen[index]]
        for sequence in sequences:
            assert len(sequence.input_ids) == len(sequence.action_mask) == len(sequence.rewards)


@pytest.mark.parametrize(("kind", "template"), POLICIES)
def test_a_full_history_is_the_turns_as_written_and_the_actions_as_sampled(kind: str, template: str) -> None:
    policy = make_policy(kind, template)
    trajectories = run(policy, (WORDLE, "words_200", 6), 8)
    assert all(len(trajectory.sequences) == 1 for trajectory in trajectories)
    for index, trajectory in enumerate(trajectories):
        assert trajectory.sequences[0] == by_hand(policy, index, trajectory.episode)
    # Actions cut by max_new_tokens are among them: their end is read, and nobody chose it.
    cut = [w for seen in policy.seen.values() for _, w in seen if w[-1] not in policy.turns.stop_ids]
    assert cut
    ends = policy.turns.action_end
    unmarked = [
        place
        for trajectory in trajectories
        for sequence in trajectory.sequences
        for place, on in enumerate(sequence.action_mask)
        if not on and sequence.action_mask[place - 1] and sequence.input_ids[place : place + len(ends)] == ends
    ]
    assert unmarked


def test_a_sequence_decodes_to_the_text_of_the_episode_however_its_tokens_were_cut() -> None:
    for letters in (False, True):
        (trajectory,) = run(walker(letters=letters), (MAZE, "partially_observed", 6), 1)
        (sequence,) = trajectory.sequences
        texts = [turn.content for turn in trajectory.episode.turns[:-1]]
        assert TOKENIZERS["raw"].decode(sequence.input_ids) == "".join(f"{text}\n" for text in texts)
        said = [turn.content for turn in trajectory.episode.turns if turn.role == "assistant"]
        assert TOKENIZERS["raw"].decode(acted(sequence)) == "".join(f"{text}\n" for text in said)
        # Not tokenised anew: a token for every letter stays one.
        assert (len(acted(sequence)) == sum(len(text) + 1 for text in said)) == letters


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game[1])
def test_rewards_sit_on_the_last_sampled_token_of_each_action_and_add_up(game: tuple[Task, str, int]) -> None:
    policy = make_policy()
    for index, trajectory in enumerate(run(policy, game)):
        rewards = [turn.reward for turn in trajectory.episode.turns if turn.role == "assistant"]
        expected = [
            reward if last else 0.0
            for reward, (_, written) in zip(rewards, policy.seen[index], strict=True)
            for last in [False] * (len(written) - 1) + [True]
        ]
        sequences = trajectory.sequences
        on = [r for s in sequences for r, marked in zip(s.rewards, s.action_mask, strict=True) if marked]
        assert on == expected
        total = sum(sum(sequence.rewards) for sequence in sequences)
        assert total == trajectory.episode.total_reward == sum(rewards) != 0


# --- where a sequence ends


def test_a_markov_task_gives_a_sequence_per_step_and_a_full_history_one_in_all() -> None:
    for trajectory in run(make_policy(), (MAZE, "fully_observed", 5)):
        actions = [turn for turn in trajectory.episode.turns if turn.role == "assistant"]
        seen = [turn for turn in trajectory.episode.turns if turn.role == "user"]
        assert len(trajectory.sequences) == len(actions)
        for sequence, turn in zip(trajectory.sequences, seen, strict=False):
            assert sequence.input_ids[: sequence.action_mask.index(1)] == make_policy().turns.prompt_ids([turn])
    for game in (WORDLE, "words_200", 6), (TOY, "closed", 4):
        assert all(len(trajectory.sequences) == 1 for trajectory in run(make_policy(), game))


def test_a_window_that_slides_begins_a_sequence_at_every_action() -> None:
    policy = walker()
    (trajectory,) = run(policy, (MAZE, "partially_observed", 25), 1)
    # Before the k-th action, from 0, there are 2k + 1 texts: 40 are still all at the 20th action, the last one.
    actions = [sum(each != 0 for each in np.diff([0, *sequence.action_mask])) for sequence in trajectory.sequences]
    assert len(trajectory.sequences) == 6
    assert [(changes + 1) // 2 for changes in actions] == [20, 1, 1, 1, 1, 1]
    turns = trajectory.episode.turns
    for number, sequence in enumerate(trajectory.sequences[1:], start=20):
        window = turns[2 * number + 1 - 40 : 2 * number + 1]
        prompt, written = policy.seen[0][number]
        assert prompt == policy.turns.prompt_ids(window)
        assert sequence.input_ids == prompt + written


def test_a_wiped_history_begins_a_sequence() -> None:
    policy = walker(wrong=[2, 3])
    (trajectory,) = run(policy, (MAZE, "partially_observed", 7), 1)
    assert [turn.reward for turn in trajectory.episode.turns[1::2]] == [-1, -1, -4, -4, -1, -1, -1]
    # Actions 0 to 2 and the first wipe, action 3 and the second one, and the rest.
    marks = [[int(token) for token in sequence.action_mask] for sequence in trajectory.sequences]
    assert [sum(on and not mark[place - 1] for place, on in enumerate(mark)) for mark in marks] == [3, 1, 3]
    turns = trajectory.episode.turns
    for sequence, start in zip(trajectory.sequences, (0, 6, 8), strict=True):
        first = policy.turns.prompt_ids([turns[start]])
        assert sequence.input_ids[: len(first)] == first


# --- how an episode ends


@pytest.mark.parametrize("template", TOKENIZERS)
@pytest.mark.parametrize(("config", "wrong"), [("fully_observed", []), ("partially_observed", []),
                                               ("partially_observed", [3])])  # fmt: skip
def test_a_cut_episode_says_what_the_policy_would_have_read_next(template: str, config: str, wrong: list[int]) -> None:
    for length in (1, 4, 24):
        (cut,) = run(walker(template, wrong=wrong), (MAZE, config, length), 1)
        longer = walker(template, wrong=wrong)
        run(longer, (MAZE, config, length + 1), 1)
        assert cut.episode.truncated
        assert cut.next_ids == longer.seen[0][length][0]


def test_what_is_read_next_holds_the_tokens_as_sampled() -> None:
    policy = make_policy()
    cut = run(policy, (TOY, "closed", 2))
    longer = make_policy()
    run(longer, (TOY, "closed", 3))
    for index, trajectory in enumerate(cut):
        if trajectory.episode.truncated:
            assert trajectory.next_ids == longer.seen[index][2][0]
            known = len(trajectory.sequences[0].input_ids)
            assert trajectory.next_ids[:known] == trajectory.sequences[0].input_ids
    assert any(trajectory.episode.truncated for trajectory in cut)


def test_a_task_that_cuts_by_itself_and_one_that_ends() -> None:
    # The maze lets 100 moves be made and then cuts; six tries are the whole of Wordle.
    policy = walker()
    (walked,) = run(policy, (MAZE, "fully_observed", 200), 1)
    assert walked.episode.truncated
    assert len(walked.sequences) == 101
    assert walked.next_ids == policy.turns.prompt_ids(walked.episode.turns[-1:])
    (guessed,) = run(make_policy(), (WORDLE, "words_200", 200), 1)
    assert guessed.episode.terminated
    assert guessed.next_ids == []


def test_an_episode_is_cut_once_its_sequences_hold_so_many_tokens() -> None:
    game, limit = (MAZE, "partially_observed", 12), 60
    (whole,), (cut,) = run(walker(), game, 1), run(walker(), game, 1, max_tokens=limit)
    (longer,), (sequence,) = whole.sequences, cut.sequences
    # Where an action ends, tokens included.
    ends = [place + 1 for place, on in enumerate(longer.action_mask) if on and not [*longer.action_mask, 0][place + 1]]
    assert ends[0] < limit < ends[-2]
    assert len(sequence.input_ids) == min(end for end in ends if end >= limit)
    assert sequence.input_ids == longer.input_ids[: len(sequence.input_ids)]
    assert cut.episode.truncated
    assert longer.input_ids[: len(cut.next_ids)] == cut.next_ids
    # All sequences count, not only the last one.
    markov = run(make_policy(), (MAZE, "fully_observed", 50), max_tokens=100)
    for trajectory in markov:
        lengths = [len(sequence.input_ids) for sequence in trajectory.sequences]
        assert sum(lengths) >= 100 > sum(lengths[:-1])


# --- what decides the tokens


def everything(trajectories: Sequence[Trajectory]) -> list[tuple[Any, ...]]:
    return [(each.sequences, each.next_ids, each.episode.turns, each.episode.seed) for each in trajectories]


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game[1])
def test_an_episode_depends_on_no_batch_and_no_neighbour(game: tuple[Task, str, int]) -> None:
    together = everything(run(make_policy(), game, 9))
    for batch_size in (1, 2, 4):
        assert everything(run(make_policy(), game, 9, batch_size=batch_size)) == together
    # As two processes would share them, with one policy for one round after the other.
    task, config, max_turns = game
    policy = make_policy()
    for rank in (0, 1):
        mine = range(rank, 9, 2)
        noise = [(7, index) for index in mine]
        played = play(policy, task, config, list(mine), noise=noise, max_turns=max_turns, batch_size=3)
        assert everything(played.trajectories) == together[rank::2]


@pytest.mark.parametrize("game", GAMES, ids=lambda game: game[1])
@pytest.mark.parametrize(("kind", "template"), POLICIES)
def test_the_tokens_are_those_that_encoding_everything_anew_would_draw(
    kind: str, template: str, game: tuple[Task, str, int]
) -> None:
    """The logits of each whole sequence in one plain forward pass, and the noise that belongs to its action."""
    policy = make_policy(kind, template, temperature=0.8)
    for index, trajectory in enumerate(run(policy, game)):
        turn = -1
        for sequence in trajectory.sequences:
            with torch.inference_mode():
                logits = policy.model(input_ids=torch.tensor([sequence.input_ids]), use_cache=False).logits[0]
            drawn: list[int] = []
            for place, on in enumerate(sequence.action_mask):
                if on and not sequence.action_mask[place - 1]:
                    turn += 1
                    noise = iter(np.random.default_rng([7, index, turn]).random(policy.max_new_tokens))
                if on:
                    drawn += choose(logits[place - 1 : place], np.array([next(noise)]), 0.8)
            assert drawn == acted(sequence)


def test_the_same_start_with_other_noise_is_another_episode_and_with_the_same_noise_the_same() -> None:
    settings: dict[str, Any] = {"max_turns": 5}
    noise = [(7, 0), (7, 1), (7, 0), (8, 0)]
    played = play(make_policy(), MAZE, "fully_observed", [3, 3, 3, 3], noise=noise, **settings).trajectories
    first, other, same, later = everything(played)
    assert first == same
    assert len({trajectory.episode.turns[0] for trajectory in played}) == 1
    assert other != first != later
    assert other != later


def test_weights_that_changed_between_two_rounds_are_used() -> None:
    policy = make_policy()
    before = everything(run(policy, (TOY, "closed", 4)))
    with torch.no_grad():
        for parameter in policy.model.parameters():
            parameter.mul_(-1)
    after = everything(run(policy, (TOY, "closed", 4)))
    fresh = Recorder(policy.model, policy.tokenizer, name="fresh", max_new_tokens=4)
    assert after == everything(run(fresh, (TOY, "closed", 4))) != before


def test_nothing_of_a_round_is_kept() -> None:
    policy = make_policy()
    run(policy, (TOY, "closed", 4))
    assert policy.sequences == policy.ends == policy.conversations == {}
    assert len(policy._written) == 0


# --- another sampler


def test_a_sampler_that_goes_on_says_nothing_or_too_much_is_cut_to_an_action() -> None:
    turns = TurnTokenizer(TOKENIZERS["raw"])
    (newline,) = turns.action_end
    letters = turns.content_ids("abcdefgh")
    replies = iter([[letters[0], newline, letters[1]], [], letters, [newline]])
    policy = make_policy(generate=lambda prompts: [next(replies)])
    (trajectory,) = run(policy, (WORDLE, "words_200", 4), 1)
    assert len(letters) > 4
    assert [written for _, written in policy.seen[0]] == [
        [letters[0], newline], [min(turns.stop_ids)], letters[:4], [newline]
    ]  # fmt: skip
    assert trajectory.episode.turns[1].content == "a"


def test_a_sampler_gets_the_prompts_of_all_running_episodes_at_once() -> None:
    asked: list[int] = []
    inner = walker()
    generate = inner.generate
    assert generate is not None

    def counting(prompts: list[list[int]]) -> list[list[int]]:
        asked.append(len(prompts))
        return generate(prompts)

    inner.generate = counting
    run(inner, (MAZE, "partially_observed", 3), 5, batch_size=4)
    assert asked == [4, 4, 4, 1, 1, 1]


# --- dialogues


def test_the_oracle_is_asked_once_a_turn_for_all_running_episodes() -> None:
    oracle = Scripted(lambda view, attempt: "Yes.")
    trajectories = run(make_policy(), (TOY, "closed", 4), 6, oracle=oracle)
    lengths = [len(trajectory.episode.turns) // 2 for trajectory in trajectories]
    asked = [sum(length > turn for length in lengths) for turn in range(max(lengths))]
    assert oracle.batches == [(0, running) for running in asked]
    replies = {turn.content for each in trajectories for turn in each.episode.turns[2::2]}
    assert replies == {"Yes."}
    # What the oracle said is what the policy reads, and not in the mask.
    for trajectory in trajectories:
        text = TOKENIZERS["raw"].decode(trajectory.sequences[0].input_ids)
        assert text.count("Yes.\n") >= len(trajectory.episode.turns) // 2 - 1


def test_the_episodes_are_those_of_the_plain_rollout() -> None:
    """Nothing about the play is the recipe's own: the same actions through the plain rollout earn the same."""
    trajectories = run(make_policy(), (MAZE, "partially_observed", 5))
    for trajectory in trajectories:
        said = iter([turn.content for turn in trajectory.episode.turns[1::2]])
        policy: Any = type("Said", (), {"name": "tested", "act": lambda self, conversations: [next(said)]})()  # noqa: B023
        (episode,) = rollout(MAZE, "partially_observed", policy, [trajectory.episode.seed], max_turns=5)
        assert episode == trajectory.episode


def test_times_are_measured_apart() -> None:
    played = play(make_policy(), MAZE, "fully_observed", [0, 1], noise=[(0,), (1,)], max_turns=3)
    assert played.generation > 0
    assert played.simulator > 0
    assert [trajectory.episode.seed for trajectory in played.trajectories] == [0, 1]
