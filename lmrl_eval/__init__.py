"""Policies for LMRL-Gym's tasks, and what turns them into scores."""

from lmrl_eval.evaluator import Evaluator
from lmrl_eval.oracles import load_oracle
from lmrl_eval.policies import load_policy
from lmrl_eval.results import Results, read_results
from lmrl_eval.score import Score, score_episodes

__all__ = ["Evaluator", "Results", "Score", "load_oracle", "load_policy", "read_results", "score_episodes"]
