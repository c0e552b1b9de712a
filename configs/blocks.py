"""Blocks that many configs hold alike; a config changes after the call what is its own."""

from typing import Any


def training() -> dict[str, Any]:
    """`config.execution` of training on accelerators: float32 weights, bfloat16 arithmetic."""
    return dict(
        param_dtype="float32",
        compute_dtype="bfloat16",
        scan_layers=True,
        remat=True,
        attention_block=512,
        numerics="fast",
        dispatch="ragged",
        block_size=0,
    )


def inference() -> dict[str, Any]:
    """`config.execution` without a gradient: half the memory, nothing computed twice."""
    return training() | dict(param_dtype="bfloat16", remat=False)


def on_cpu() -> dict[str, Any]:
    """`config.execution` on a laptop: float32, layers unrolled, experts in blocks."""
    return dict(
        param_dtype="float32",
        compute_dtype="float32",
        scan_layers=False,
        remat=False,
        attention_block=64,
        numerics="fast",
        dispatch="blocks",
        block_size=0,
    )


def sampler(*, temperature: float, top_p: float, cache_segments: int) -> dict[str, Any]:
    """`config.sampler`, without the filters that no paper of ours uses."""
    return dict(
        temperature=temperature,
        top_k=0,
        top_p=top_p,
        min_p=0.0,
        repetition_penalty=1.0,
        cache_segments=cache_segments,
        slots=0,
    )


def optimizer(
    lr: float, *, schedule: str, warmup_updates: int, total_updates: int, final_lr_ratio: float
) -> dict[str, Any]:
    """`config.optimizer`: AdamW without decay; the papers publish the learning rate alone."""
    return dict(
        lr=lr,
        schedule=schedule,
        warmup_updates=warmup_updates,
        total_updates=total_updates,
        final_lr_ratio=final_lr_ratio,
        b1=0.9,
        b2=0.95,
        eps=1e-8,
        weight_decay=0.0,
        clip_norm=1.0,
        max_skipped_in_a_row=5,
    )


def evaluation(
    *, every_updates: int, validation: int, samples: int, sampler: dict[str, Any]
) -> dict[str, Any]:
    """`config.evaluation` of a training run: pass@1 and the vote of all samples of a question."""
    return dict(
        every_updates=every_updates,
        validation=validation,
        test=512,
        ood=0,
        samples=samples,
        consensus=samples,
        batch=64,
        sampler=sampler,
        level=0.95,
    )
