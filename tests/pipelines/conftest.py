"""Runs of a few updates; those of one shape share a Trainer, and with it compiled programs."""

import dataclasses
import os
import signal
from collections.abc import Callable
from pathlib import Path

import nano_r1_zero
import pytest
from jax.sharding import Mesh

from configs import rewards
from r1jax import config as configs
from r1jax.pipelines.r1_zero import run as r1_zero
from r1jax.rewards.combine import RewardConfig

ANY_REWARD = configs.build(RewardConfig, rewards.get_config().to_dict())


@pytest.fixture(scope="session")
def config(nano_base) -> r1_zero.R1ZeroConfig:
    """The random arm: a base that knows nothing earns nothing else, and weights must move."""
    c = nano_r1_zero.get_config()
    c.base = str(nano_base)
    c.reward.kind = "random"
    return configs.build(r1_zero.R1ZeroConfig, c.to_dict())


@pytest.fixture(scope="session")
def trainer() -> Callable[[r1_zero.R1ZeroConfig], r1_zero.Trainer]:
    """r1_zero.Trainer, made once for configs that differ in the reward alone."""
    made: dict[str, r1_zero.Trainer] = {}
    fresh = r1_zero.Trainer

    def of(config: r1_zero.R1ZeroConfig, mesh: Mesh | None = None) -> r1_zero.Trainer:
        plain = dataclasses.replace(config, reward=ANY_REWARD, preferences={})
        key = repr((plain, config.preferences))  # dicts in it have no hash
        if key not in made:
            made[key] = fresh(config, mesh)
        made[key].config = config
        made[key].rewarder.config = config.reward
        return made[key]

    return of


@pytest.fixture(scope="session")
def run(trainer) -> Callable[..., None]:
    """r1_zero.run without its picture, which costs more than the run.

    `stop_after` sends SIGTERM right after that update; `seen` is shown every state.
    """

    def of(config, workdir: Path, *, stop_after=-1, seen=None, plot=lambda *paths: None):
        one_update = r1_zero._one_update

        def watched(trainer, state, judged, run, metrics):
            state = one_update(trainer, state, judged, run, metrics)
            if seen is not None:
                seen(run.updates, state)
            if run.updates == stop_after:
                os.kill(os.getpid(), signal.SIGTERM)
            return state

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(r1_zero, "plot_rl", plot)
            patch.setattr(r1_zero, "Trainer", trainer)
            patch.setattr(r1_zero, "_one_update", watched)
            r1_zero.run(config, workdir)

    return of
