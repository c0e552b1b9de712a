"""One rollout of reinforcement learning: sampled, judged, and made into what updates need."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax.numpy as jnp
import numpy as np

from r1jax import keys, sharding
from r1jax.config import UserError
from r1jax.exams.examiner import Answered, known_to_all, mean_parts, rollout_metrics
from r1jax.pipelines.r1_zero.config import R1ZeroConfig
from r1jax.pipelines.r1_zero.trainer import Trainer
from r1jax.reports.samples import SampleRow, write_samples
from r1jax.rl.advantages import group_advantages
from r1jax.train import rollouts
from r1jax.train.loop import Run
from r1jax.types import Rollout, TrainState


def collect(
    trainer: Trainer, state: TrainState, here: Run
) -> tuple[rollouts.Buffer, dict[str, Any]]:
    """Samples, judges and scores one rollout; writes a table of samples when it is time."""
    config, g = trainer.config, trainer.config.grpo
    number, stage = here.updates // g.updates_per_rollout, config.stage(here.updates)
    player = trainer.players[stage.temperature]
    problems = [trainer.splits["train"][i] for i in trainer.drawn(number)]
    with here.phase("sample"):
        key = keys.stream(trainer.root, "sample", number)
        rollout = player.draw(
            state.weights, problems, key, group=g.group_size, cap=stage.max_new_tokens
        )
    # log-probabilities need no verdict: workers judge meanwhile
    with ThreadPoolExecutor(1) as beside:
        judging = beside.submit(
            player.read, rollout, problems,
            group=g.group_size, step=number, cap=stage.max_new_tokens,
        )  # fmt: skip
        buffer = rollouts.contiguous(rollout, buckets=config.length_buckets)
        with here.phase("logprobs"):
            buffer |= _other_logps(trainer, state, buffer, stage.temperature)
        with here.phase("reward"):
            answered = known_to_all(judging.result())
    here.spent("judge", answered.seconds)
    here.count("sampled", int(answered.lengths.sum()))
    rewards_PG, valid_PG = _rewards(answered, config)
    advantages_B = np.asarray(
        group_advantages(
            jnp.asarray(rewards_PG), jnp.asarray(valid_PG), ddof=g.advantage_ddof,
            eps=g.advantage_eps, divide_by_std=g.divide_by_std,
        )
    ).reshape(rewards_PG.size)  # fmt: skip
    keep_B = trained_samples(valid_PG, answered.truncated, mask_truncated=g.mask_truncated)
    if here.updates % config.samples_every < g.updates_per_rollout:
        write_samples(
            here.workdir,
            here.updates,
            _table(answered, advantages_B, config.samples_shown, g.group_size),
        )
    seen = _rollout_metrics(answered, rewards_PG, valid_PG, rollout, config.reflective_words)
    return rollouts.judged(buffer, advantages_B, keep_B), seen


def trained_samples(
    valid_PG: np.ndarray, truncated_B: np.ndarray, *, mask_truncated: bool
) -> np.ndarray:
    """Returns which of the B = P * G samples the loss counts; the arguments stay as they are.

    Args:
      valid_PG: whether a sample's reward is known.
      truncated_B: whether a sample hit the length cap.
      mask_truncated: leave out what hit the cap (DAPO's overlong filtering).
    """
    keep_B = valid_PG.reshape(valid_PG.size)
    return keep_B & ~truncated_B if mask_truncated else keep_B


def _other_logps(
    trainer: Trainer, state: TrainState, buffer: rollouts.Buffer, temperature: float
) -> rollouts.Buffer:
    """Log-probabilities under the reference and, where they count, under the trainer's policy."""
    g, more = trainer.config.grpo, {}
    batch = rollouts.as_batch(rollouts.unjudged(buffer), np.ones_like(buffer["old_logp"]))
    batch = sharding.spread_batch(batch, trainer.mesh)
    if g.kl_coef:
        assert state.reference is not None
        more["ref_logp"] = np.asarray(
            trainer.logps(state.reference, batch, temperature=temperature, replay=False)
        )
    if g.old_logps == "trainer" and g.updates_per_rollout > 1:
        own = np.asarray(
            trainer.logps(state.weights, batch, temperature=temperature, replay=g.replay_routes)
        )
        gap = np.abs(own - buffer["old_logp"])[buffer["mask"]]
        more["old_logp"] = own
        more["gap"] = np.array([gap.max(initial=0.0), gap.mean() if gap.size else 0.0])
    return more


def _rewards(answered: Answered, config: R1ZeroConfig) -> tuple[np.ndarray, np.ndarray]:
    """Rewards by prompt and sample, and which of them count.

    Raises:
      UserError: if a judge failed, and the config says that this stops the run.
    """
    errors = [s for s in answered.scores if s.error]
    if errors and config.on_judge_error == "stop":
        raise UserError(f"{len(errors)} samples could not be judged, first: {errors[0].reason}")
    group = config.grpo.group_size
    rewards_PG = np.array([s.total for s in answered.scores], np.float32).reshape(-1, group)
    errors_PG = np.array([s.error for s in answered.scores]).reshape(-1, group)
    return rewards_PG, ~errors_PG | (config.on_judge_error == "zero")


def _table(answered: Answered, advantages_B: np.ndarray, shown: int, group: int) -> list[SampleRow]:
    rows = [p * group + s for s in range(group) for p in range(len(answered.scores) // group)][
        :shown
    ]
    return [
        SampleRow(
            answered.prompts[b],
            answered.completions[b],
            answered.scores[b].total,
            answered.scores[b].parts,
            answered.scores[b].reason,
            float(advantages_B[b]),
            int(answered.lengths[b]),
            bool(answered.truncated[b]),
        )
        for b in sorted(rows)
    ]


def _rollout_metrics(
    answered: Answered,
    rewards_PG: np.ndarray,
    valid_PG: np.ndarray,
    rollout: Rollout,
    reflective: tuple[str, ...],
) -> dict[str, Any]:
    known_PG = np.where(valid_PG, rewards_PG, np.nan)
    alike = [len(set(group[~np.isnan(group)])) < 2 for group in known_PG]
    return {
        "reward": float(np.nanmean(known_PG)) if valid_PG.any() else None,
        **mean_parts(answered),
        **rollout_metrics(answered, reflective),
        "entropy": float(rollout.entropy_BC.sum() / rollout.mask_BC.sum()),
        "zero_variance_groups": float(np.mean(alike)),
    }
