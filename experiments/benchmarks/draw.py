"""How long one draw of a token takes, beside two other ways to draw it.

python -m experiments.benchmarks.draw
"""

import statistics
import time
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from r1jax.sampling.config import SamplerConfig
from r1jax.sampling.tokens import draw_bits, sample_token

SIZES = {512: (64, 200), 49_152: (16, 10), 151_936: (8, 5)}  # of a vocabulary: rows, draws a round
ROUNDS = 9
UNFILTERED = SamplerConfig(1.0, 0, 1.0, 0.0, 1.0, 1, 0)
Draw = Callable[[Key[Array, " B"], Int[Array, ""], Float[Array, "B V"]], tuple[Array, Array, Array]]


def _blocks(key_B, step, logits_BV):
    """The sampler's own."""
    step_B = jnp.full(key_B.shape, step)
    return sample_token(draw_bits(key_B, step_B), logits_BV, config=UNFILTERED)


def _recorded(token_B, logps_BV):
    hit_BV = token_B[:, None] == jnp.arange(logps_BV.shape[1])[None]
    entropy_B = -(jnp.exp(logps_BV) * logps_BV).sum(1)
    return token_B, jnp.where(hit_BV, logps_BV, 0.0).sum(1), entropy_B


def _cumulative_sum(key_B, step, logits_BV):
    """One float32 cumulative sum and one 23-bit uniform: fast, but off by 2e-3 at V = 151,936."""
    logps_BV = jax.nn.log_softmax(logits_BV, axis=1)
    cdf_BV = jnp.cumsum(jnp.exp(logps_BV), axis=1)
    u_B = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, step)))(key_B)
    return _recorded((cdf_BV <= u_B[:, None] * cdf_BV[:, -1:]).sum(1), logps_BV)


def _gumbels(key_B, step, logits_BV):
    """The largest of V sums of a log-probability and a Gumbel."""
    logps_BV = jax.nn.log_softmax(logits_BV, axis=1)
    width = logits_BV.shape[1]

    def noise(key):
        return jax.random.gumbel(jax.random.fold_in(key, step), (width,), mode="high")

    return _recorded((logps_BV + jax.vmap(noise)(key_B)).argmax(1), logps_BV)


WAYS: dict[str, Draw] = {
    "blocks": _blocks,
    "cumulative_sum": _cumulative_sum,
    "gumbels": _gumbels,
}


def repeated(draw: Draw, count: int, key_B: Array, logits_BV: Array) -> Array:
    """The sum of what `count` draws record; each waits for the one before."""

    def once(step, total_B):
        _, logp_B, entropy_B = draw(key_B, step, logits_BV + 0.0 * total_B[:, None])
        return total_B + logp_B + entropy_B

    return jax.lax.fori_loop(0, count, once, jnp.zeros(len(key_B)))


def main() -> None:
    for width, (rows, count) in SIZES.items():
        logits_BV = 3 * jax.random.normal(jax.random.key(0), (rows, width))
        key_B = jax.random.split(jax.random.key(1), rows)
        programs = {name: jax.jit(partial(repeated, way, count)) for name, way in WAYS.items()}
        for program in programs.values():
            jax.block_until_ready(program(key_B, logits_BV))
        seconds = {name: [] for name in programs}
        for _ in range(ROUNDS):
            for name, program in programs.items():
                start = time.perf_counter()
                jax.block_until_ready(program(key_B, logits_BV))
                seconds[name].append((time.perf_counter() - start) / count)
        medians = {name: f"{1e6 * statistics.median(s):,.0f} us" for name, s in seconds.items()}
        print(f"V = {width:,}, {rows} rows:", medians)


if __name__ == "__main__":
    main()
