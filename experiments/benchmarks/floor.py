"""The least time that work can take on a machine: what is to be done, and how fast the machine is.

A pass takes at least its FLOPs at the matmul peak and its bytes at the memory's pace, whichever is
longer; passes that wait for each other add up. FLOPs are those of the weights that a token really
meets (the experts chosen for it, not all) and of attention, two for a multiply-add. Norms,
softmax, routing and drawing tokens count as nothing: a floor leaves out what it cannot be sure of.
"""

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from r1jax.model import forward, parameters
from r1jax.model.config import Mla, ModelConfig

WIDTH = {"float32": 4, "bfloat16": 2}  # bytes of a number


class Work(NamedTuple):
    """What one pass has to do: floating-point operations, and bytes to and from memory."""

    flops: int
    bytes: int


class Machine(NamedTuple):
    """How fast a machine is at its best: FLOPs and bytes per second."""

    flops_per_s: float
    bytes_per_s: float


def seconds(passes: list[Work], machine: Machine) -> float:
    """The floor: the sum over passes of the longer of computing and moving."""
    return sum(max(w.flops / machine.flops_per_s, w.bytes / machine.bytes_per_s) for w in passes)


def body_weights(model: ModelConfig, *, experts: int) -> int:
    """Weights of all layers' matrices, with so many routed experts of each MoE layer."""
    total = 0
    for path, parameter in parameters.table(model).items():
        if parameter.std and path.startswith(("dense_layers/", "moe_layers/")):
            sizes = zip(parameter.axes, parameter.shape, strict=True)
            total += math.prod(experts if axis == "experts" else n for axis, n in sizes)
    return total


def head_weights(model: ModelConfig) -> int:
    """Weights of the output matrix."""
    return model.d_model * model.vocab_size


def _active(model: ModelConfig) -> int:
    return body_weights(model, experts=model.moe.experts_per_token if model.moe else 0)


def pair_flops(model: ModelConfig) -> int:
    """FLOPs of one query's attention to one key, over all layers.

    MLA is counted expanded, which takes the fewest: its absorbed form trades FLOPs for bytes, and
    `cache_bytes` counts that one's.
    """
    a = model.attention
    mla = isinstance(a, Mla)
    widths = a.nope_dim + a.rope_dim + a.v_dim if mla else 2 * a.head_dim
    return model.n_layers * 2 * a.n_heads * widths


def cache_bytes(model: ModelConfig) -> int:
    """Bytes that the cache keeps of one token: keys and values, or MLA's latent and rotary key."""
    a = model.attention
    mla = isinstance(a, Mla)
    numbers = a.kv_lora_rank + a.rope_dim if mla else 2 * a.n_kv_heads * a.head_dim
    return model.n_layers * numbers * WIDTH[model.compute_dtype]


def scoring(model: ModelConfig, *, rows: int, length: int) -> Work:
    """A pass over whole sequences that scores every token.

    Attention counts the whole square of positions, masked half included.
    """
    flops = 2 * rows * length * (_active(model) + head_weights(model))
    flops += rows * length * length * pair_flops(model)
    return Work(flops, forward.count_params(model) * WIDTH[model.compute_dtype])


def gradients(model: ModelConfig, *, rows: int, length: int) -> Work:
    """Forward and backward: three times the FLOPs; weights read twice, gradients written."""
    flops = 3 * scoring(model, rows=rows, length=length).flops
    return Work(flops, 3 * forward.count_params(model) * WIDTH[model.param_dtype])


def update(model: ModelConfig, *, rows: int, length: int) -> Work:
    """Gradients, then AdamW, which reads four arrays of the parameters' size and writes three."""
    flops = gradients(model, rows=rows, length=length).flops
    return Work(flops, 7 * forward.count_params(model) * WIDTH[model.param_dtype])


def sampling(model: ModelConfig, *, rows: int, prompt: int, new: int, resident: int) -> list[Work]:
    """Prefill, then the steps that draw one token per row: the last token drawn is never run.

    Attention counts visible positions only, and logits only where a token is drawn. A decoding step
    reads the cache of all positions so far, and the weights unless they stay in the processor's.

    Args:
      model: the network.
      rows: sequences drawn at a time.
      prompt: tokens of each prompt.
      new: tokens drawn for each.
      resident: weights of so many bytes are not read again in each step.

    Returns:
      The prefill and, as one, all decoding steps.
    """
    body, head, steps = _active(model), head_weights(model), new - 1

    def pairs_of(first, last):
        # one query each of these positions
        return sum(range(first, last + 1))

    met = min(model.moe.n_experts, rows * model.moe.experts_per_token) if model.moe else 0
    read = (body_weights(model, experts=met) + head) * WIDTH[model.compute_dtype]
    read = 0 if read <= resident else read
    seen = pairs_of(prompt + 1, prompt + steps)
    prefill_flops = 2 * (prompt * body + head) + pairs_of(1, prompt) * pair_flops(model)
    decode_flops = 2 * steps * (body + head) + seen * pair_flops(model)
    return [
        Work(rows * prefill_flops, read),
        Work(rows * decode_flops, steps * read + rows * seen * cache_bytes(model)),
    ]


_MATMULS = {
    "nn": jax.jit(lambda x, y: jnp.einsum("mk,kn->mn", x, y)),
    "nt": jax.jit(lambda x, y: jnp.einsum("mk,nk->mn", x, y)),
}
_REWRITE = jax.jit(lambda x: x + 1, donate_argnums=0)  # in place: fresh pages would be faulted in


def _fewest_seconds(call: Callable[[], Any], *, tries: int) -> float:
    """Seconds per call at best; calls are queued until a try takes 50 ms, to hide the dispatch."""
    jax.block_until_ready(call())
    start = time.perf_counter()
    jax.block_until_ready(call())
    calls = max(1, round(0.05 / (time.perf_counter() - start)))
    taken = []
    for _ in range(tries):
        start = time.perf_counter()
        for _ in range(calls - 1):
            call()
        jax.block_until_ready(call())
        taken.append((time.perf_counter() - start) / calls)
    return min(taken)


def _matmul_flops_per_s(*, size: int, dtype: str, tries: int) -> float:
    keys = jax.random.split(jax.random.key(0))
    x, y = (jax.random.normal(key, (size, size), dtype) for key in keys)
    fewest = min(_fewest_seconds(lambda f=f: f(x, y), tries=tries) for f in _MATMULS.values())
    return 2 * size**3 / fewest


def _device_bytes_per_s(*, mib: int, tries: int) -> float:
    x = jnp.zeros((mib << 18,), jnp.float32)

    def rewrite():
        nonlocal x
        x = _REWRITE(x)
        return x

    return 2 * x.nbytes / _fewest_seconds(rewrite, tries=tries)


def _host_bytes_per_s(*, mib: int, tries: int) -> float:
    threads = os.cpu_count() or 1  # as many as XLA runs on
    a, b, c = (np.array_split(np.ones(mib << 18, np.float32), threads) for _ in range(3))
    with ThreadPoolExecutor(threads) as pool:

        def add():
            return list(pool.map(lambda i: np.add(a[i], b[i], out=c[i]), range(threads)))

        fewest = _fewest_seconds(add, tries=tries)
    return 3 * (mib << 20) / fewest


def measure(*, matmul: int, mib: int, dtype: str, tries: int) -> Machine:
    """Measures the first device, now.

    Args:
      matmul: side of the square matrices multiplied, as x y and as x y^T; the faster counts.
      mib: size of each array moved, far more than any cache holds. Moved are x + 1 in place, by JAX
        (8 bytes a number), and on a CPU a + b into c, by NumPy on a thread per core (12 bytes a
        number; the read that some processors make of what they are about to overwrite is not
        counted); the faster counts.
      dtype: of the matrices.
      tries: the best of so many counts.
    """
    on_cpu = jax.devices()[0].platform == "cpu"
    paces = [_device_bytes_per_s(mib=mib, tries=tries)]
    paces += [_host_bytes_per_s(mib=mib, tries=tries)] if on_cpu else []
    return Machine(_matmul_flops_per_s(size=matmul, dtype=dtype, tries=tries), max(paces))
