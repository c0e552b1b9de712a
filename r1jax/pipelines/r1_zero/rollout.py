"""One rollout of reinforcement learning in four steps: sample, judge, score, learnables."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from r1jax import keys, sharding
from r1jax.config import UserError
from r1jax.data.tasks.problems import Problem
from r1jax.exams.examiner import Answered, known_to_all, mean_parts, rollout_metrics
from r1jax.io.loop import Run
from r1jax.pipelines.r1_zero.config import R1ZeroConfig, StageConfig
from r1jax.pipelines.r1_zero.trainer import Trainer
from r1jax.reports.samples import SampleRow, write_samples
from r1jax.rl.advantages import group_advantages
from r1jax.train import rollouts
from r1jax.train.grpo import GrpoConfig
from r1jax.types import Judged, Rollout, Sequences, TrainState, Weights


class Draw(NamedTuple):
    """What was sampled.

    Attributes:
      number: of the rollout, from 0.
      stage: how it was sampled.
      problems: P, each asked for G samples.
      rollout: host arrays.
      slot_idle: share of the sampler's row-steps in which a slot had nothing to draw.
    """

    number: int
    stage: StageConfig
    problems: list[Problem]
    rollout: Rollout
    slot_idle: float


class Scores(NamedTuple):
    """What the samples earned, by prompt and sample; host arrays.

    Attributes:
      rewards_PG: in reward units.
      valid_PG: whether the reward is known.
      advantages_PG: 0 where it is not.
    """

    rewards_PG: np.ndarray
    valid_PG: np.ndarray
    advantages_PG: np.ndarray


class Likelihoods(NamedTuple):
    """Sequences and their log-probabilities.

    Attributes:
      sequences: with the trainer's own old_logp_BT where the run computes it again.
      ref_logp_BT: under the reference; 0 where the run has none.
      gap: metrics of the sampler's and the trainer's difference, where the run computes both.
    """

    sequences: Sequences
    ref_logp_BT: np.ndarray
    gap: dict[str, float]


def collect(trainer: Trainer, state: TrainState, run: Run) -> tuple[Judged, dict[str, Any]]:
    """One rollout and its metrics; writes a table of samples when it is time."""
    config, g = trainer.config, trainer.config.grpo
    draw = sample(trainer, state, run)
    # log-probabilities need no verdict: workers judge meanwhile
    with ThreadPoolExecutor(1) as beside:
        verdicts = beside.submit(judge, trainer, draw)
        likelihoods = rescore(trainer, state, draw, run)
        with run.phase("reward"):
            answered = known_to_all(verdicts.result())
    run.spent("judge", answered.seconds)
    run.count("sampled", int(answered.lengths.sum()))
    scores = score(answered, config)
    if run.updates % config.samples_every < g.updates_per_rollout:
        table = _table(answered, scores.advantages_PG, config.samples_shown)
        write_samples(run.workdir, run.updates, table)
    metrics = _metrics(answered, scores, draw.rollout, config.reflective_words)
    judged = learnables(likelihoods, scores, answered.truncated, g)
    return judged, {**metrics, "slot_idle": draw.slot_idle, **likelihoods.gap}


def sample(trainer: Trainer, state: TrainState, run: Run) -> Draw:
    """Draws G completions of each prompt of the rollout that starts now."""
    config, g = trainer.config, trainer.config.grpo
    number, stage = run.updates // g.updates_per_rollout, config.stage(run.updates)
    problems = [trainer.splits["train"][i] for i in trainer.drawn(number)]
    with run.phase("sample"):
        key = keys.stream(trainer.root, "sample", number)
        player = trainer.players[stage.temperature]
        rollout = player.draw(
            state.weights, problems, key, group=g.group_size, cap=stage.max_new_tokens
        )
    return Draw(number, stage, problems, rollout, player.sampler.slot_idle)


def judge(trainer: Trainer, draw: Draw) -> Answered:
    """Reads and judges the samples; touches no device, so a thread may do it."""
    return trainer.players[draw.stage.temperature].read(
        draw.rollout,
        draw.problems,
        group=trainer.config.grpo.group_size,
        step=draw.number,
        cap=draw.stage.max_new_tokens,
    )


def rescore(trainer: Trainer, state: TrainState, draw: Draw, run: Run) -> Likelihoods:
    """Moves the rows to position 0; scores them under the reference and the trainer's policy."""
    g, temperature = trainer.config.grpo, draw.stage.temperature
    sequences = rollouts.contiguous(draw.rollout, buckets=trainer.config.length_buckets)
    ref_logp_BT, gap = np.zeros_like(sequences.old_logp_BT), dict[str, float]()
    with run.phase("logprobs"):
        how = {"micro_tokens": trainer.micro_tokens, "align": trainer.align}
        packing = rollouts.packing_of(sequences, **how)
        rows = sharding.spread_batch(rollouts.rows_of(sequences, packing), trainer.mesh)

        def logps(weights: Weights, *, replay: bool) -> np.ndarray:
            logp = np.asarray(trainer.logps(weights, rows, temperature=temperature, replay=replay))
            return np.where(sequences.mask_BT, packing.back(logp, sequences.mask_BT.shape), 0)

        if g.kl_coef:
            assert state.reference is not None
            ref_logp_BT = logps(state.reference, replay=False)
        if g.rescored:
            logp_BT = logps(state.weights, replay=g.replay_routes)
            gaps = np.abs(logp_BT - sequences.old_logp_BT)[sequences.mask_BT]
            gap["logp_gap_max"] = float(gaps.max(initial=0.0))
            gap["logp_gap_mean"] = float(gaps.mean()) if gaps.size else 0.0
            gap["differing_logps"] = float((gaps != 0).mean()) if gaps.size else 0.0
            sequences = sequences._replace(old_logp_BT=logp_BT)
    return Likelihoods(sequences, ref_logp_BT, gap)


def score(answered: Answered, config: R1ZeroConfig) -> Scores:
    """Rewards and advantages within each group.

    Raises:
      UserError: if a judge failed, and the config says that this stops the run.
    """
    errors = [s for s in answered.scores if s.error]
    if errors and config.on_judge_error == "stop":
        raise UserError(f"{len(errors)} samples could not be judged, first: {errors[0].reason}")
    g = config.grpo
    rewards_PG = np.array([s.total for s in answered.scores], np.float32).reshape(-1, g.group_size)
    errors_PG = np.array([s.error for s in answered.scores]).reshape(-1, g.group_size)
    valid_PG = ~errors_PG | (config.on_judge_error == "zero")
    advantages_PG = group_advantages(
        jnp.asarray(rewards_PG),
        jnp.asarray(valid_PG),
        ddof=g.advantage_ddof,
        eps=g.advantage_eps,
        divide_by_std=g.divide_by_std,
    )
    return Scores(rewards_PG, valid_PG, np.asarray(advantages_PG))


def learnables(
    likelihoods: Likelihoods, scores: Scores, truncated_B: np.ndarray, config: GrpoConfig
) -> Judged:
    """What updates may learn from: every sequence with its advantage, masked where none counts."""
    keep_B = trained_samples(scores.valid_PG, truncated_B, mask_truncated=config.mask_truncated)
    sequences = likelihoods.sequences
    arrays: dict[str, Any] = {
        **sequences._asdict(),
        "mask_BT": sequences.mask_BT & keep_B[:, None],
        "advantages_B": scores.advantages_PG.reshape(keep_B.size).astype(np.float32),
        "ref_logp_BT": likelihoods.ref_logp_BT,
    }
    return Judged(**arrays)


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


def _table(answered: Answered, advantages_PG: np.ndarray, shown: int) -> list[SampleRow]:
    """The first sample of each prompt, then the second, and so on; in the order of the rows."""
    prompts, group = advantages_PG.shape
    rows = [p * group + s for s in range(group) for p in range(prompts)][:shown]
    return [
        SampleRow(
            answered.prompts[b],
            answered.completions[b],
            answered.scores[b].total,
            answered.scores[b].parts,
            answered.scores[b].reason,
            float(advantages_PG[divmod(b, group)]),
            int(answered.lengths[b]),
            bool(answered.truncated[b]),
        )
        for b in sorted(rows)
    ]


def _metrics(
    answered: Answered, scores: Scores, rollout: Rollout, reflective: tuple[str, ...]
) -> dict[str, Any]:
    known_PG = np.where(scores.valid_PG, scores.rewards_PG, np.nan)
    alike = [len(set(group[~np.isnan(group)])) < 2 for group in known_PG]
    return {
        "reward": float(np.nanmean(known_PG)) if scores.valid_PG.any() else None,
        **mean_parts(answered),
        **rollout_metrics(answered, reflective),
        "entropy": float(rollout.entropy_BC.sum() / rollout.mask_BC.sum()),
        "zero_variance_groups": float(np.mean(alike)),
    }
