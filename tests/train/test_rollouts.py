import numpy as np
import pytest
from jaxtyping import TypeCheckError

from r1jax.train.rollouts import bucket, contiguous, minibatch
from r1jax.types import Judged, Rollout, Sequences

P, C, L, K = 6, 5, 2, 3  # prompt width, completion width, MoE layers, experts per token


def drawn(prompts: list[int], completions: list[int]) -> Rollout:
    """Rows of these real lengths; token, log-probability and routes all tell row and place."""
    rng, n = np.random.default_rng(0), len(prompts)
    prompt_mask = np.arange(P)[None] >= P - np.array(prompts)[:, None]
    mask = np.arange(C)[None] < np.array(completions)[:, None]
    routes = rng.integers(0, 8, size=(L, n, P + C, K)).astype(np.int32)
    for b, length in enumerate(completions):
        routes[:, b, P + length - 1 :] = -1  # a row's last token was never run
    return Rollout(
        prompt_BT=np.where(prompt_mask, rng.integers(10, 99, (n, P)), 3).astype(np.int32),
        prompt_mask_BT=prompt_mask,
        completion_BC=np.where(mask, rng.integers(10, 99, (n, C)), 3).astype(np.int32),
        mask_BC=mask,
        logp_BC=np.where(mask, -rng.random((n, C)), 0).astype(np.float32),
        entropy_BC=np.zeros((n, C), np.float32),
        truncated_B=np.zeros(n, bool),
        routes_LBTK=routes,
    )  # pyright: ignore[reportArgumentType]  # host arrays, as device_get gives them


def oracle(rollout: Rollout, width: int) -> Sequences:
    """Row by row and token by token."""
    rows: dict[str, list] = {name: [] for name in Sequences._fields}
    for b in range(len(rollout.mask_BC)):
        real = [
            (int(rollout.prompt_BT[b, i]), None, i)
            for i in range(P)
            if rollout.prompt_mask_BT[b, i]
        ]
        real += [
            (int(rollout.completion_BC[b, c]), float(rollout.logp_BC[b, c]), P + c)
            for c in range(C)
            if rollout.mask_BC[b, c]
        ]
        tokens, segments, mask, logp = [0] * width, [0] * width, [False] * width, [0.0] * width
        routes = [[[-1] * K for _ in range(width)] for _ in range(L)]
        for t, (token, token_logp, source) in enumerate(real):
            tokens[t], segments[t] = token, 1
            for layer in range(L):
                routes[layer][t] = rollout.routes_LBTK[layer, b, source].tolist()
            if token_logp is not None:  # stands at the position that predicts it
                mask[t - 1], logp[t - 1] = True, token_logp
        for name, value in zip(rows, (tokens, segments, mask, logp, routes), strict=True):
            rows[name].append(value)
    rows["routes_LBTK"] = np.swapaxes(rows["routes_LBTK"], 0, 1)
    return Sequences(**rows)


def judged(rows: Sequences) -> Judged:
    """Row b has the advantage b, and under the reference each of its tokens -b."""
    n, width = rows.tokens_BT.shape
    advantages_B = np.arange(n, dtype=np.float32)
    ref_logp_BT = np.tile(-advantages_B[:, None], width)
    return Judged(**rows._asdict(), advantages_B=advantages_B, ref_logp_BT=ref_logp_BT)


@pytest.mark.parametrize(
    ("prompts", "completions", "width"),
    [
        ([6, 1, 3, 4], [5, 1, 2, 5], 11),
        ([2, 3, 1, 1], [1, 2, 4, 5], 8),
        ([1, 1, 1, 1], [1, 1, 1, 1], 4),
        ([6, 6, 6, 6], [2, 2, 2, 2], 8),
    ],
)
def test_rows_are_moved_to_the_front_as_a_loop_would(prompts, completions, width):
    rollout = drawn(prompts, completions)
    got, want = contiguous(rollout, buckets=(11, 4, 8)), oracle(rollout, width)
    for name, array in got._asdict().items():
        np.testing.assert_array_equal(array, np.array(getattr(want, name), array.dtype), name)
    kinds = {name: str(array.dtype) for name, array in got._asdict().items()}
    assert kinds == {
        "tokens_BT": "int32",
        "segments_BT": "int32",
        "mask_BT": "bool",
        "old_logp_BT": "float32",
        "routes_LBTK": "int32",
    }


def test_a_bucket_wider_than_all_that_was_drawn_pads():
    rollout = drawn([6, 2], [5, 3])
    got, want = contiguous(rollout, buckets=(20,)), oracle(rollout, 20)
    np.testing.assert_array_equal(got.tokens_BT, want.tokens_BT)
    np.testing.assert_array_equal(got.routes_LBTK, want.routes_LBTK)
    assert (got.routes_LBTK[:, :, 11:] == -1).all()


def test_garbage_behind_the_masks_changes_nothing():
    rollout = drawn([3, 1], [2, 4])
    behind_BT = np.arange(P + C)[None] >= P + np.array([[2], [4]])
    spoilt = rollout._replace(
        routes_LBTK=np.where(behind_BT[None, :, :, None], 99, rollout.routes_LBTK),
        prompt_BT=np.where(rollout.prompt_mask_BT, rollout.prompt_BT, 77),
        completion_BC=np.where(rollout.mask_BC, rollout.completion_BC, 88),
        logp_BC=np.where(rollout.mask_BC, rollout.logp_BC, np.nan),
    )
    clean, dirty = (contiguous(r, buckets=(8,)) for r in (rollout, spoilt))
    for name, want, got in zip(Sequences._fields, clean, dirty, strict=True):
        np.testing.assert_array_equal(got, want, name)


def test_a_dense_model_has_no_routes_to_move():
    rollout = drawn([3, 1], [2, 4])
    rollout = rollout._replace(routes_LBTK=np.zeros((0, 2, P + C, 0), np.int32))
    got = contiguous(rollout, buckets=(8,))
    assert got.routes_LBTK.shape == (0, 2, 8, 0)


def test_the_smallest_bucket_that_holds_is_taken():
    assert [bucket(n, (9, 3, 6)) for n in (1, 3, 4, 9)] == [3, 3, 6, 9]
    with pytest.raises(ValueError, match=r"10 tokens fits none of the length buckets \(9, 3, 6\)"):
        bucket(10, (9, 3, 6))
    with pytest.raises(ValueError, match="11 tokens fits none"):
        contiguous(drawn([6], [5]), buckets=(10,))


def test_a_minibatch_is_the_whole_groups_of_its_prompts():
    """In rows of one sequence each, as where every sequence fills more than half a row."""
    long = drawn([6, 6, 6, 6, 6, 6], [1, 5, 2, 4, 3, 1])
    rows = judged(contiguous(long, buckets=(11,)))
    batch = minibatch(
        rows,
        np.array([2, 0]),
        group=2,
        reduction="seq_mean_token_mean",
        constant=11,
        micro_tokens=11,
    )
    picked = [1, 4, 5, 0]  # of 4, 5, 0 and 1: the longest first
    np.testing.assert_array_equal(batch.tokens_BT, rows.tokens_BT[picked])
    np.testing.assert_array_equal(batch.segments_BT, rows.segments_BT[picked])
    np.testing.assert_array_equal(batch.advantages_BT[:, 0], picked)
    positions_BT = np.where(batch.segments_BT > 0, np.arange(11), 0)
    np.testing.assert_array_equal(batch.positions_BT, positions_BT)
    np.testing.assert_array_equal(batch.ref_logp_BT[:, 0], [-b for b in picked])
    np.testing.assert_array_equal(batch.routes_LBTK, rows.routes_LBTK[:, picked])
    np.testing.assert_array_equal(batch.old_logp_BT, rows.old_logp_BT[picked])
    np.testing.assert_array_equal(np.asarray(batch.weights_BT) > 0, rows.mask_BT[picked])
    # one sequence, one share, whatever its length
    np.testing.assert_allclose(np.asarray(batch.weights_BT).sum(1), [1 / 4] * 4, rtol=1e-6)


def test_what_nobody_judged_makes_no_minibatch():
    sequences = contiguous(drawn([2, 2], [1, 4]), buckets=(8,))
    with pytest.raises(TypeError, match="advantages_B"):
        Judged(*sequences)
    with pytest.raises(TypeCheckError):
        minibatch(
            sequences, np.array([0]), group=2, reduction="token_mean", constant=8, micro_tokens=8
        )
