"""Counts the bits that differ between sampler and trainer; test_exact runs it in its own process.

XLA must be told before it starts, so this cannot run beside the other tests. Prints a JSON object.
"""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from r1jax.hub.artifacts import load_model
from r1jax.io.compiled import check_exact
from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.sampler import Sampler
from r1jax.train import rollouts
from r1jax.train.grpo import sequence_logps

TEMPERATURE = 0.7
CASES = {"tiny_base": "float32", "tiny_r1_student": "bfloat16"}  # MLA with experts; GQA


def differing(a: np.ndarray, b: np.ndarray) -> int:
    return int((a.view(np.int32) != b.view(np.int32)).sum())


def count(name: str, dtype: str) -> dict[str, int]:
    weights, model, tokenizer = load_model(f"package:{name}")
    moe = model.moe and dataclasses.replace(model.moe, block_size=8)
    model = dataclasses.replace(model, numerics="exact", compute_dtype=dtype, moe=moe)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(5, model.n_tokens, n).tolist() for n in (3, 17, 30)]

    def draw(slots: int, group: int, bucket: int, segments: int):
        sampler = Sampler(
            model=model,
            config=SamplerConfig(TEMPERATURE, 0, 1.0, 0.0, 1.0, segments, slots),
            max_new=48,
            stop_ids=tokenizer.stop_ids,
            pad_id=0,
            buckets=(bucket,),
        )
        return sampler(weights, prompts, jax.random.key(1), group=group, cap=48)

    rollout, found = draw(0, 8, 30, 1), {}
    for slots, group, bucket, segments in ((1, 1, 40, 3), (4, 8, 64, 2)):
        other, kept = draw(slots, group, bucket, segments), slice(None, None, 8 // group)
        found[f"tokens, {slots} slots"] = int(
            (other.completion_BC != rollout.completion_BC[kept]).sum()
        )
        found[f"logps, {slots} slots"] = differing(other.logp_BC, rollout.logp_BC[kept])
    knobs = {"model": model, "temperature": TEMPERATURE, "replay": False}
    for width, micro_tokens, chunk in ((80, 1 << 20, 80), (144, 864, 64), (192, 1, 50)):
        sequences = rollouts.contiguous(rollout, buckets=(width,))
        how = {"micro_tokens": micro_tokens, "align": model.attention_block}
        packing = rollouts.packing_of(sequences, **how)
        score = partial(sequence_logps, **knobs, micro_tokens=micro_tokens, chunk=chunk)
        packed = jax.tree.map(jnp.asarray, rollouts.rows_of(sequences, packing))
        logp_BT = packing.back(np.asarray(jax.jit(score)(weights, packed)), (24, width))
        at = sequences.mask_BT
        found[f"rows of {width}, {micro_tokens} tokens at a time"] = differing(
            logp_BT[at], sequences.old_logp_BT[at]
        )
    found["scored"] = int(rollout.mask_BC.sum())
    return found


if __name__ == "__main__":
    check_exact()
    print(json.dumps({name: count(name, dtype) for name, dtype in CASES.items()}))
