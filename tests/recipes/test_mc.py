"""MC returns: the loss by hand."""

import math

import pytest
import torch

from lmrl_recipes.mc import mc_loss


def test_the_loss_is_half_the_squared_distance_to_the_return_summed_over_tokens() -> None:
    q, returns = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([3.0, -2.0, -0.5])
    loss = mc_loss(q, torch.zeros(3), returns, cql_weight=0.5)
    assert loss.q.item() == pytest.approx(0.5 * (4 + 0 + 0.25))
    assert loss.total.item() == loss.q.item()


def test_the_cross_entropy_counts_with_its_weight() -> None:
    loss = mc_loss(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 1.5]), torch.tensor([0.0, 0.0]), cql_weight=0.25)
    assert (loss.q.item(), loss.cql.item()) == (1.0, 2.0)
    assert loss.total.item() == pytest.approx(1.0 + 0.25 * 2.0)


def test_the_gradient_leads_towards_the_return() -> None:
    q = torch.tensor([1.0, -2.0], requires_grad=True)
    returns = torch.tensor([3.0, -5.0], requires_grad=True)
    mc_loss(q, torch.zeros(2), returns.detach(), cql_weight=0.0).total.backward()
    assert q.grad is not None
    assert q.grad.tolist() == [-2.0, 3.0]


def test_the_return_of_a_three_token_action_is_its_reward_discounted_twice_once_and_not() -> None:
    # What `training_items` puts on the tokens of `move down\n` with reward -1 (spec: 0.99 squared R, 0.99 R, R).
    returns = torch.tensor([-(0.99**2), -0.99, -1.0])
    loss = mc_loss(torch.zeros(3), torch.full((3,), math.log(4)), returns, cql_weight=1.0)
    assert loss.total.item() == pytest.approx(0.5 * (0.99**4 + 0.99**2 + 1) + 3 * math.log(4))
