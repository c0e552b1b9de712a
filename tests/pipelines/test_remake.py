"""The recipe of the shipped base still works: a small one is made from nothing and taken to RL."""

import json

import pytest
from ml_collections import ConfigDict

from configs import pretrain_tiny, r1_zero_tiny
from r1jax import config as configs
from r1jax.pipelines import pretrain
from r1jax.pipelines.r1_zero import run as r1_zero


@pytest.mark.slow
def test_a_base_made_in_minutes_starts_low_and_learns(tmp_path):
    made: ConfigDict = pretrain_tiny.get_config()
    # after 500 the base guesses too often: 30 updates of RL then find the format and nothing else
    made.updates = made.optimizer.total_updates = 700
    made.corpus.update(documents=100_000, held_out=1_000)
    pretrain.run(configs.build(pretrain.PretrainConfig, made.to_dict()), tmp_path / "base")

    taught: ConfigDict = r1_zero_tiny.get_config()
    taught.base = str(tmp_path / "base" / "model")
    taught.updates = taught.optimizer.total_updates = 30
    taught.evaluation.update(every_updates=0, test=64, ood=0)
    taught.checkpoint.keep_best = 0  # without evaluations none has a score
    r1_zero.run(configs.build(r1_zero.R1ZeroConfig, taught.to_dict()), tmp_path / "rl")

    summary = json.loads((tmp_path / "rl" / "summary.json").read_text())
    before, after = summary["before"], summary["after"]
    score = before["pass_at_1"]["mean"]
    assert 0.10 <= score <= 0.35
    assert before["cons_at"]["16"]["mean"] > score
    assert after["pass_at_1"]["mean"] > score + 0.15
    assert after["rates"]["format"] > 0.9
