"""What PPO computes, by hand: advantages, the value loss, the coefficient of the KL, explained variance."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lmrl_data import UserError
from lmrl_recipes.ppo import PPOConfig, adapted, explained_variance, gae, value_loss

# --- advantages


def test_advantages_of_an_episode_that_terminated() -> None:
    # gamma = lambda = 1/2. From the end: -2 + 0 - 1 = -3; 0 + 1/2 * 1 - 4 + 1/4 * -3 = -4.25;
    # -1 + 1/2 * 4 - 2 + 1/4 * -4.25 = -2.0625.
    advantages, returns = gae(np.array([-1.0, 0, -2]), np.array([2.0, 4, 1]), 0.0, gamma=0.5, lam=0.5)
    assert advantages.tolist() == [-2.0625, -4.25, -3]
    assert returns.tolist() == [-0.0625, -0.25, -2]


def test_a_truncated_episode_goes_on_at_the_value_of_what_comes_next() -> None:
    # As above, but the last token's future is worth 8: -2 + 1/2 * 8 - 1 = 1; then -3.5 + 1/4 * 1 = -3.25;
    # then -1 + 1/4 * -3.25 = -1.8125.
    advantages, returns = gae(np.array([-1.0, 0, -2]), np.array([2.0, 4, 1]), 8.0, gamma=0.5, lam=0.5)
    assert advantages.tolist() == [-1.8125, -3.25, 1]
    assert returns.tolist() == [0.1875, 0.75, 2]


def test_with_lambda_0_an_advantage_looks_one_token_ahead() -> None:
    advantages, _ = gae(np.array([-1.0, -2]), np.array([2.0, 4]), 10.0, gamma=0.5, lam=0.0)
    assert advantages.tolist() == [-1 + 2 - 2, -2 + 5 - 4]


def test_without_discount_and_with_lambda_1_returns_are_the_rewards_to_come() -> None:
    rewards, values = np.array([-1.0, 0, 2, -4]), np.array([5.0, -7, 11, 3])
    advantages, returns = gae(rewards, values, 0.0, gamma=1.0, lam=1.0)
    assert returns.tolist() == [-3, -2, -2, -4]
    assert advantages.tolist() == [-8, 5, -13, -7]
    assert gae(rewards, values, 9.0, gamma=1.0, lam=1.0)[1].tolist() == [6, 7, 7, 5]


# --- the value loss


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_the_value_loss_is_half_the_squared_error() -> None:
    loss, clipped = value_loss(tensor(1, -2), tensor(0, 0), tensor(3, -2), None)
    assert loss.tolist() == [2, 0]
    assert clipped.tolist() == [0, 0]


def test_the_clipped_value_loss_is_the_worse_of_two() -> None:
    # From 0 at most 0.5 away. 2 is nearer to 3 than the clipped 0.5, which decides: (0.5 - 3)^2 / 2.
    # -2 is farther from 3 than -0.5: the value decides. 0.25 is within the clip: the two agree.
    loss, clipped = value_loss(tensor(2, -2, 0.25), tensor(0, 0, 0), tensor(3, 3, 3), 0.5)
    assert loss.tolist() == [3.125, 12.5, 0.5 * 2.75**2]
    assert clipped.tolist() == [1, 0, 0]


@pytest.mark.parametrize("clip", [None, 0.3])
def test_the_value_loss_has_the_gradient_of_its_finite_differences(clip: float | None) -> None:
    random = torch.Generator().manual_seed(0)
    values, old, returns = (torch.randn(20, generator=random, dtype=torch.float64) for _ in range(3))
    values.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda v: value_loss(v, old, returns, clip)[0], values)
    loss, clipped = value_loss(values, old, returns, clip)
    (gradient,) = torch.autograd.grad(loss.sum(), values)
    expected = torch.where(clipped.bool(), 0.0, values - returns)
    assert torch.allclose(gradient, expected.detach())
    assert (clip is None) == (clipped.sum().item() == 0)


# --- numbers


def test_the_kl_coefficient_follows_the_target_and_never_fast() -> None:
    # An error of 10 % over 50 of 1000 episodes: 0.5 %. One of 300 % counts as 20 %.
    assert adapted(0.2, 0.11, 0.1, 50, 1000.0) == pytest.approx(0.2 * 1.005)
    assert adapted(0.2, 0.4, 0.1, 50, 1000.0) == pytest.approx(0.2 * 1.01)
    assert adapted(0.2, 0.0, 0.1, 50, 1000.0) == pytest.approx(0.2 * 0.99)
    assert adapted(0.2, 0.1, 0.1, 50, 1000.0) == 0.2


def test_the_explained_variance_of_perfect_constant_and_contrary_values() -> None:
    returns = np.array([1.0, 2, 3, 4])
    assert explained_variance(returns + 7, returns) == 1
    assert explained_variance(np.zeros(4), returns) == 0
    # The rest is twice the returns, with four times their variance.
    assert explained_variance(-returns, returns) == -3
    assert np.isnan(explained_variance(returns, np.ones(4)))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"critic": "none"}, "unknown critic 'none'; choose from: model, detached, head"),
        ({"gamma": 1.5}, "gamma is from 0 to 1, got 1.5"),
        ({"gae_lambda": -0.1}, "gae_lambda is from 0 to 1, got -0.1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(tmp_path: Path, settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        PPOConfig(output_dir=str(tmp_path), use_cpu=True, **settings)
