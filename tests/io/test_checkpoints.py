import hashlib
import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest

from r1jax.config import UserError
from r1jax.io.checkpoints import Checkpointer, digest


class State(NamedTuple):
    params: Any
    reference: Any
    opt_state: Any
    updates: Any


def make_state(seed: int) -> State:
    params = {
        "dense": jax.random.normal(jax.random.key(seed), (64, 64)),  # a file of its own
        "half": [jnp.arange(5, dtype=jnp.bfloat16) + seed],
        "bias_of_no_router": jnp.zeros((0, 4)),
    }
    return State(params, None, optax.adamw(1e-3).init(params), jnp.int32(seed))


def opener(tmp_path: Path, **changes: Any) -> tuple[Checkpointer, list[str]]:
    warned: list[str] = []
    settings: dict[str, Any] = {
        "directory": tmp_path / "checkpoints",
        "keep_last": 3,
        "keep_best": 0,
        "config": {"grpo.lr": 1e-3, "workdir": "a", "grpo.betas": (0.9, 0.95)},
        "allow_config_change": False,
        "warn": warned.append,
    }
    return Checkpointer(**(settings | changes)), warned


@pytest.fixture(scope="module")
def saved_once(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("saved")
    checkpointer, _ = opener(root)
    for step in (10, 20, 30):
        extra = {"buffer": np.arange(step)}
        checkpointer.save(step, make_state(step), extra, {"seen": step}, None)
    checkpointer.close()
    return root / "checkpoints"


@pytest.fixture
def saved(saved_once, tmp_path) -> Path:
    """Checkpoints 10, 20 and 30, a copy to harm."""
    return shutil.copytree(saved_once, tmp_path / "checkpoints")


def steps_on_disk(directory: Path) -> list[int]:
    return sorted(int(p.name) for p in directory.iterdir() if p.name.isdigit())


def test_digest_sees_every_bit_dtype_shape_and_name():
    base = {"a": np.arange(6, dtype=np.float32), "b": np.ones(2, ml_dtypes.bfloat16)}
    others = [
        base | {"a": np.nextafter(base["a"], 9, dtype=np.float32)},
        base | {"a": base["a"].reshape(2, 3)},
        base | {"a": base["a"].view(np.int32)},
        {"c": base["a"], "b": base["b"]},
        {"a": base["a"]},
    ]
    assert len({digest(tree) for tree in [base, *others]}) == 6


def test_digest_ignores_container_order_and_device():
    class Pair(NamedTuple):
        b: Any
        a: Any

    host = {"a": np.arange(4, dtype=np.int32), "b": np.ones((), ml_dtypes.bfloat16)}
    device = Pair(a=jnp.arange(4), b=jnp.ones((), jnp.bfloat16))
    assert digest(host) == digest(device)


def test_digest_is_sha256_of_path_dtype_shape_and_bytes():
    text = b"a/0 float32 (2,)\n" + struct.pack("<2f", 1, 2) + b"b int32 ()\n" + struct.pack("<i", 3)
    tree = {"b": np.int32(3), "a": [np.array([1, 2], np.float32)], "c": None}
    assert digest(tree) == hashlib.sha256(text).hexdigest()


def test_round_trip_gives_back_every_bit(tmp_path):
    checkpointer, warned = opener(tmp_path)
    extra = {
        "ids": np.arange(6).reshape(2, 3),
        "none_left": np.zeros((0, 7), np.int32),
        "half": np.ones(3, ml_dtypes.bfloat16),
        "one/number.": np.float32(2.5),
        "flags": np.array([True, False]),
    }
    state, meta = make_state(1), {"position": {"epoch": 1, "index": [3, 4]}, "note": "é"}
    checkpointer.save(7, state, extra, meta, 0.5)
    got = checkpointer.restore(state)
    assert got is not None and got.step == 7 and got.meta == meta and warned == []
    assert jax.tree.structure(got.state) == jax.tree.structure(state)
    assert [x.dtype for x in jax.tree.leaves(got.state)] == [
        x.dtype for x in jax.tree.leaves(state)
    ]
    assert digest(got.state) == digest(state)
    assert {k: (a.dtype, a.shape) for k, a in got.extra.items()} == {
        k: (a.dtype, a.shape) for k, a in extra.items()
    }
    assert digest(got.extra) == digest(extra)
    checkpointer.close()


def test_no_extra_is_an_empty_dict(tmp_path):
    checkpointer, _ = opener(tmp_path)
    checkpointer.save(1, make_state(1), {}, {}, None)
    got = checkpointer.restore(make_state(2))
    assert got is not None and got.extra == {} and got.meta == {}
    checkpointer.close()


def test_restored_arrays_lie_where_the_template_says(tmp_path):
    mesh = jax.make_mesh(
        (len(jax.devices()),), ("data",), axis_types=(jax.sharding.AxisType.Explicit,)
    )
    rows = jax.NamedSharding(mesh, jax.P("data"))
    whole = jax.NamedSharding(mesh, jax.P())
    state = {"w": jax.device_put(jnp.arange(8.0), rows), "none": jnp.zeros((0, 2))}
    like = {
        "w": jax.ShapeDtypeStruct((8,), jnp.float32, sharding=whole),
        "none": jax.ShapeDtypeStruct((0, 2), jnp.float32, sharding=whole),
    }
    checkpointer, _ = opener(tmp_path)
    checkpointer.save(1, state, {}, {}, None)
    got = checkpointer.restore(like)
    assert got is not None and digest(got.state) == digest(state)
    assert all(x.sharding == whole for x in got.state.values())
    checkpointer.close()


def test_donating_the_state_after_save_spoils_nothing(tmp_path):
    checkpointer, _ = opener(tmp_path)
    state = {"w": jnp.arange(1 << 18, dtype=jnp.float32)}
    want = digest(state)
    checkpointer.save(1, state, {}, {}, None)
    later = jax.jit(lambda s: jax.tree.map(lambda x: x * 0 - 1, s), donate_argnums=0)(state)
    jax.block_until_ready(later)
    got = checkpointer.restore(later)
    assert got is not None and digest(got.state) == want
    checkpointer.close()


def test_newest_and_best_are_kept(tmp_path):
    checkpointer, _ = opener(tmp_path, keep_last=2, keep_best=2)
    scores = {1: 0.1, 2: 0.9, 3: None, 4: 0.5, 5: 0.2, 6: None}
    for step, score in scores.items():
        checkpointer.save(step, {"w": jnp.ones(2)}, {}, {}, score)
    checkpointer.close()
    assert steps_on_disk(tmp_path / "checkpoints") == [2, 4, 5, 6]


def test_scores_survive_a_restart(tmp_path):
    first, _ = opener(tmp_path, keep_last=1, keep_best=1)
    for step, score in ((1, 0.9), (2, 0.1)):
        first.save(step, {"w": jnp.ones(2)}, {}, {}, score)
    first.close()
    second, _ = opener(tmp_path, keep_last=1, keep_best=1)
    second.save(3, {"w": jnp.ones(2)}, {}, {}, 0.5)
    second.close()
    assert steps_on_disk(tmp_path / "checkpoints") == [1, 3]


def test_nothing_saved_is_none(tmp_path):
    checkpointer, warned = opener(tmp_path)
    assert checkpointer.restore(make_state(0)) is None and checkpointer.latest_step() is None
    assert warned == []
    checkpointer.close()


def arrays_file(step: Path) -> Path:
    """The file that holds the largest array."""
    return max((step / "state").rglob("d/*"), key=lambda path: path.stat().st_size)


def flip_a_byte(step: Path) -> None:
    path = arrays_file(step)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def truncate_data(step: Path) -> None:
    path = arrays_file(step)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty_data(step: Path) -> None:
    arrays_file(step).write_bytes(b"")


def delete_data(step: Path) -> None:
    arrays_file(step).unlink()


def truncate_the_index(step: Path) -> None:
    for path in (step / "state" / "d").iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def delete_a_file(step: Path) -> None:
    (step / "state" / "manifest.ocdbt").unlink()


def delete_the_state(step: Path) -> None:
    shutil.rmtree(step / "state")


def delete_the_extra(step: Path) -> None:
    shutil.rmtree(step / "extra")


def break_the_json(step: Path) -> None:
    path = step / "document" / "metadata"
    path.write_text(path.read_text()[:-9])


def change_a_digit(step: Path) -> None:
    path = step / "document" / "metadata"
    text = path.read_text()
    assert '\\"seen\\": 30' in text
    path.write_text(text.replace('\\"seen\\": 30', '\\"seen\\": 31'))


def empty_the_directory(step: Path) -> None:
    shutil.rmtree(step)
    step.mkdir()


# Tensorstore's readers still running when the first fails report to a loop that orbax has closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "harm",
    [
        truncate_data,
        empty_data,
        delete_data,
        truncate_the_index,
        flip_a_byte,
        delete_a_file,
        delete_the_state,
        delete_the_extra,
        break_the_json,
        change_a_digit,
        empty_the_directory,
    ],
)
def test_damage_is_named_and_the_next_older_is_used(saved, tmp_path, harm: Callable[[Path], None]):
    harm(saved / "30")
    checkpointer, warned = opener(tmp_path)
    got = checkpointer.restore(make_state(0))
    assert got is not None and got.step == 20 and got.meta == {"seen": 20}
    assert digest(got.state) == digest(make_state(20))
    np.testing.assert_array_equal(got.extra["buffer"], np.arange(20))
    assert checkpointer.latest_step() == 20
    assert f"{saved}/30: damaged (" in warned[0] and f"{saved}/20: used" in warned[-1]
    assert steps_on_disk(saved) == [10, 20, 30]  # reading moves nothing

    checkpointer.save(30, make_state(31), {}, {}, None)
    again = checkpointer.restore(make_state(0))
    assert again is not None and again.step == 30
    assert digest(again.state) == digest(make_state(31))
    assert (saved / "damaged_30").is_dir() and "moved aside" in warned[2]
    checkpointer.close()


def test_swapped_arrays_are_noticed(saved, tmp_path):
    """Files that are whole, each by its own checksum, but of another checkpoint."""
    shutil.rmtree(saved / "30" / "state")
    shutil.copytree(saved / "10" / "state", saved / "30" / "state")
    checkpointer, warned = opener(tmp_path)
    got = checkpointer.restore(make_state(0))
    assert got is not None and got.step == 20 and "state: sha256 is" in warned[0]
    checkpointer.close()


def test_an_unfinished_save_is_named_and_later_deleted(saved, tmp_path):
    unfinished = saved / "35.orbax-checkpoint-tmp"
    (saved / "30").rename(unfinished)
    checkpointer, warned = opener(tmp_path)
    got = checkpointer.restore(make_state(0))
    assert got is not None and got.step == 20
    assert str(unfinished) in warned[0] and unfinished.exists()
    checkpointer.save(30, make_state(31), {}, {}, None)
    checkpointer.close()
    assert steps_on_disk(saved) == [10, 20, 30] and not unfinished.exists()


def test_all_damaged_is_an_error_every_time(saved, tmp_path):
    for step in (10, 20, 30):
        break_the_json(saved / str(step))
    checkpointer, _ = opener(tmp_path)
    for _ in range(2):
        with pytest.raises(UserError, match=r"every checkpoint is damaged(?s:.*)/10: damaged"):
            checkpointer.restore(make_state(0))
    checkpointer.close()


def test_changed_config_is_refused_with_the_difference(saved, tmp_path):
    config = {"grpo.lr": 2e-3, "workdir": "b", "grpo.betas": (0.9, 0.95), "new": None}
    checkpointer, _ = opener(tmp_path, config=config)
    with pytest.raises(ValueError) as caught:
        checkpointer.restore(make_state(0))
    assert "grpo.lr: checkpoint 0.001, now 0.002" in str(caught.value)
    assert "new: checkpoint absent, now None" in str(caught.value)
    assert "workdir" not in str(caught.value) and "betas" not in str(caught.value)
    checkpointer.close()


def test_a_run_may_grow_but_not_shrink_without_leave(tmp_path):
    checkpointer, _ = opener(tmp_path, config={"updates": 6})
    checkpointer.save(3, make_state(3), {}, {}, None)
    checkpointer.close()
    checkpointer, warned = opener(tmp_path, config={"updates": 9})
    restored = checkpointer.restore(make_state(0))
    assert restored is not None and restored.step == 3 and warned == []
    checkpointer.close()
    checkpointer, _ = opener(tmp_path, config={"updates": 5})
    with pytest.raises(ValueError, match="updates: checkpoint 6, now 5"):
        checkpointer.restore(make_state(0))
    checkpointer.close()


def test_changed_config_is_allowed_by_the_flag_with_a_warning(saved, tmp_path):
    checkpointer, warned = opener(tmp_path, config={}, allow_config_change=True)
    got = checkpointer.restore(make_state(0))
    assert got is not None and got.step == 30
    assert len(warned) == 1 and "grpo.lr: checkpoint 0.001, now absent" in warned[0]
    checkpointer.close()


def test_another_tree_is_refused_not_called_damage(saved, tmp_path):
    checkpointer, warned = opener(tmp_path)
    other = make_state(0)._replace(updates=jnp.zeros((2,), jnp.int32))
    with pytest.raises(ValueError, match=r"updates: checkpoint 'int32\[\]', now 'int32\[2\]'"):
        checkpointer.restore(other)
    assert warned == []
    checkpointer.close()


def test_another_format_is_refused(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("r1jax.io.checkpoints.FORMAT", 2)
    checkpointer, _ = opener(tmp_path)
    with pytest.raises(ValueError, match="format 1, this code reads 2"):
        checkpointer.restore(make_state(0))
    checkpointer.close()


def test_misuse_is_refused(tmp_path):
    checkpointer, _ = opener(tmp_path)
    state = {"w": jnp.ones(2)}
    checkpointer.save(5, state, {}, {}, None)
    with pytest.raises(ValueError, match="cannot save step 5 after step 5"):
        checkpointer.save(5, state, {}, {}, None)
    with pytest.raises(ValueError, match="score nan"):
        checkpointer.save(6, state, {}, {}, float("nan"))
    with pytest.raises(ValueError, match="JSON would not give back meta"):
        checkpointer.save(6, state, {}, {"pair": (1, 2)}, None)
    checkpointer.close()
    with pytest.raises(ValueError, match="keep_last 0"):
        opener(tmp_path, keep_last=0)


def test_document_on_disk_names_config_and_digests(saved):
    sealed = json.loads((saved / "30" / "document" / "metadata").read_text())
    document = json.loads(sealed["text"])
    assert document["config"]["grpo.lr"] == 1e-3 and document["format"] == 1
    assert document["state"]["sha256"] == digest(make_state(30))


def test_a_save_that_cannot_be_written_is_an_os_error(tmp_path, monkeypatch):
    """tensorstore calls a full disk a ValueError."""
    checkpointer, _ = opener(tmp_path)

    def full(*args, **kwargs):
        raise ValueError("RESOURCE_EXHAUSTED: Error writing local file [OS error 28]")

    monkeypatch.setattr(checkpointer._manager, "save", full)
    with pytest.raises(OSError, match="the save failed: RESOURCE_EXHAUSTED"):
        checkpointer.save(1, make_state(0), {}, {}, None)
    checkpointer.close()
