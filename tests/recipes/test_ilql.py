"""ILQL: its losses by hand, and a chain of states whose best path no episode of the data goes to the end."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from chain import GOAL, chain_episodes, see

from lmrl_data import Conversation, Episode, Turn
from lmrl_data.tokenization import TurnTokenizer, training_items
from lmrl_eval.policies.language_model import LanguageModelPolicy
from lmrl_eval.policies.value_guided import ValueGuidedModel, new_value_model
from lmrl_recipes.ilql import HEADS, ILQLConfig, ILQLTrainer, ilql_loss, next_values
from lmrl_recipes.training.offline import ItemCollator, load_behavior

pytestmark = pytest.mark.slow

SETTINGS = {"gamma": 0.9, "tau": 0.8, "cql_weight": 0.0}


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)


# --- next values


def test_the_next_value_is_v_at_the_next_action_token_of_the_same_item() -> None:
    # Item 0 has three action tokens, item 1 one, item 2 two; item 1 terminated.
    v = tensor(1, 2, 3, 10, 20, 21)
    items = torch.tensor([0, 0, 0, 1, 2, 2])
    successor = tensor(7, 0, 9)
    assert next_values(v, items, successor).tolist() == [2, 3, 7, 0, 21, 9]


def test_one_item_of_one_token_has_its_successors_value() -> None:
    assert next_values(tensor(5), torch.tensor([0]), tensor(3)).tolist() == [3]
    assert next_values(tensor(5), torch.tensor([0]), tensor(0)).tolist() == [0]


# --- the loss


def test_both_heads_are_regressed_on_the_reward_and_the_discounted_next_value() -> None:
    q = [tensor(1.0, 2.0), tensor(0.0, 4.0)]
    loss = ilql_loss(
        q, tensor(0, 0), tensor(0, 0), tensor(0, 0), rewards=tensor(-1, 0), next_v=tensor(10, 0), **SETTINGS
    )
    # Targets: -1 + 0.9 * 10 = 8 and 0 (terminated).
    assert loss.q.item() == pytest.approx(0.5 * ((1 - 8) ** 2 + 2**2) + 0.5 * (8**2 + 4**2))
    assert loss.v.item() == 0
    assert loss.total.item() == loss.q.item()


def test_the_expectile_weighs_values_that_are_too_low_by_tau_and_too_high_by_the_rest() -> None:
    v, target_q = tensor(0.0, 5.0), tensor(2.0, 2.0)
    loss = ilql_loss([tensor(0, 0)] * 2, v, target_q, tensor(0, 0), tensor(0, 0), tensor(0, 0), **SETTINGS)
    assert loss.v.item() == pytest.approx(0.8 * 0.5 * 2**2 + 0.2 * 0.5 * 3**2)
    assert loss.total.item() == pytest.approx(loss.v.item())


def test_the_cross_entropy_counts_with_its_weight() -> None:
    zeros = tensor(0, 0)
    settings = SETTINGS | {"cql_weight": 0.25}
    loss = ilql_loss([zeros, zeros], zeros, zeros, tensor(3, 5), zeros, zeros, **settings)
    assert (loss.cql.item(), loss.total.item()) == (8, 2)


def test_the_loss_is_the_sum_of_its_tokens_so_that_any_split_of_a_batch_adds_up() -> None:
    torch.manual_seed(0)
    columns = [torch.randn(6) for _ in range(7)]

    def loss(tokens: slice) -> torch.Tensor:
        q1, q2, *rest = (column[tokens] for column in columns)
        return ilql_loss([q1, q2], *rest, **SETTINGS | {"cql_weight": 0.5}).total

    assert loss(slice(0, 6)).item() == pytest.approx((loss(slice(0, 2)) + loss(slice(2, 6))).item(), rel=1e-5)


def test_no_gradient_reaches_the_targets() -> None:
    q1, q2, v, target_q, next_v = (tensor(value, 0).requires_grad_() for value in (1, 2, 3, 4, 5))
    loss = ilql_loss([q1, q2], v, target_q, tensor(0, 0), tensor(-1, -1), next_v, **SETTINGS)
    loss.total.backward()
    assert target_q.grad is None
    assert next_v.grad is None
    assert q1.grad is not None
    assert v.grad is not None
    # d/dq 0.5 (q - y)^2 = q - y with y = -1 + 0.9 * 5; d/dv = -tau (target - v).
    assert q1.grad[0].item() == pytest.approx(1 - 3.5)
    assert v.grad[0].item() == pytest.approx(-0.8 * (4 - 3))


# --- the chain: 0 - 1 - 2 - 3 - goal. The data mostly steps left, and no episode goes from 0 to the goal.


CHAIN = {"max_steps": 120, "learning_rate": 1e-2, "gamma": 0.97, "tau": 0.95, "polyak": 0.5, "cql_weight": 0.03}


def walk(policy: LanguageModelPolicy) -> list[int]:
    """The states a policy visits from 0, in at most ten steps."""
    states = [0]
    while states[-1] != GOAL and len(states) < 10:
        (action,) = policy.act([Conversation(0, 1, [Turn("user", see(states[-1]))])])
        states.append(states[-1] + 1 if action == "right" else max(0, states[-1] - 1))
    return states


def train_ilql(chain: tuple[Path, list[Episode]], output_dir: Path, **settings: Any) -> LanguageModelPolicy:
    folder, episodes = chain
    behavior, tokenizer = load_behavior(str(folder))
    args = ILQLConfig(
        output_dir=str(output_dir), per_device_train_batch_size=256,
        use_cpu=True, report_to="none", save_strategy="no", disable_tqdm=True, logging_steps=1000,
        **{**CHAIN, **settings},
    )  # fmt: skip
    items = [
        item._asdict()
        for episode in episodes
        for item in training_items(TurnTokenizer(tokenizer), episode, 1, gamma=args.gamma)
    ]
    torch.manual_seed(args.seed)
    trainer = ILQLTrainer(
        behavior=behavior, model=new_value_model(str(folder), HEADS), args=args, train_dataset=items,
        data_collator=ItemCollator(tokenizer.pad_token_id), processing_class=tokenizer,
    )  # fmt: skip
    trainer.train()
    guided = ValueGuidedModel(behavior, trainer.plain_value_model().eval(), beta=16.0)
    return LanguageModelPolicy(guided, tokenizer, name="ilql", temperature=0.0)


def test_no_episode_of_the_chain_goes_the_best_path() -> None:
    contents = [[turn.content for turn in episode.turns] for episode in chain_episodes()]
    assert not any(see(0) in texts and "Success" in texts for texts in contents)
    assert any("Success" in texts for texts in contents)


def test_ilql_stitches_the_best_path_together_and_cloning_does_not(
    chain: tuple[Path, list[Episode]], tmp_path: Path
) -> None:
    behavior, tokenizer = load_behavior(str(chain[0]))
    assert GOAL not in walk(LanguageModelPolicy(behavior, tokenizer, name="bc", temperature=0.0))
    assert walk(train_ilql(chain, tmp_path)) == [0, 1, 2, 3, 4]


@pytest.mark.release
@pytest.mark.parametrize("broken", ["no future", "no successors"])
def test_without_bootstrapping_the_path_is_not_found(
    chain: tuple[Path, list[Episode]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    gamma = CHAIN["gamma"]
    if broken == "no future":
        gamma = 0.0
    else:
        nothing: Callable[..., torch.Tensor] = lambda self, inputs: torch.zeros(len(inputs["rows"]))  # noqa: E731
        monkeypatch.setattr(ILQLTrainer, "successor_values", nothing)
    assert GOAL not in walk(train_ilql(chain, tmp_path, gamma=gamma))
