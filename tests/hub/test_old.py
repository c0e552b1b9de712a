"""A model in the format of before is refused with the command that converts it."""

import dataclasses
import json
import shlex
import subprocess
import sys

import jax
import numpy as np
import pytest

from r1jax.exams.reward_scorer import HEAD
from r1jax.hub import old, safetensors
from r1jax.hub.artifacts import load_model, open_model
from r1jax.hub.read import named_leaves
from r1jax.io.digests import digest
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig, Gqa, Mla

HOW = ExecutionConfig(
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=False,
    remat=False,
    attention_block=64,
    numerics="fast",
    dispatch="blocks",
    block_size=4,
)
MADE_BY = {"command": "python -m r1jax.main", "config": {"seed": 3}}


def write_old(directory, weights, model, tokenizer) -> None:
    """A model as it was written before."""
    named = {f"params/{path}": x for path, x in named_leaves(weights.params).items()}
    named |= {"router_bias": weights.router_bias_LE} if weights.router_bias_LE.size else {}
    arrays = {name: np.asarray(x) for name, x in named.items()}
    directory.mkdir()
    safetensors.write_file(
        directory / "weights.safetensors",
        {n: (x.dtype, x.shape) for n, x in arrays.items()},
        arrays.__getitem__,
        metadata={"tokenizer": tokenizer.fingerprint},
    )
    (directory / "tokenizer.model").write_bytes(tokenizer.model)
    fields = dataclasses.asdict(model)
    both = {name: 0 for kind in (Gqa, Mla) for name in kind.__dataclass_fields__}
    kind = "mla" if isinstance(model.attention, Mla) else "gqa"
    fields["attention"] = {"kind": kind, **both, **fields["attention"]}
    document = {"model": fields, "made_by": MADE_BY}
    (directory / "config.json").write_text(json.dumps(document))


@pytest.fixture
def before(nano_base, tmp_path):
    """The nano base in the old format."""
    write_old(tmp_path / "before", *load_model(str(nano_base)))
    return tmp_path / "before"


def test_an_old_directory_is_refused_with_the_command_to_use(before, nano_base):
    with pytest.raises(ValueError, match="is in the old format") as error:
        open_model(str(before), how=HOW, mesh=None)
    message = str(error.value)
    assert "\n" not in message
    command = shlex.split(message.split("convert it: ")[1])
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True)
    weights, model, tokenizer = load_model(command[-1])
    base, base_model, base_tokenizer = load_model(str(nano_base))
    assert digest(weights) == digest(base) and model == base_model
    assert tokenizer.model == base_tokenizer.model
    made_by = json.loads((before.parent / "before_new" / "made_by.json").read_text())
    assert made_by == MADE_BY


@pytest.mark.parametrize("name", ["gqa_bias", "mla_moe_mtp", "gqa_moe"])
def test_every_network_is_converted_to_the_bit(name, models, nano_base, tmp_path):
    tokenizer = load_model(str(nano_base))[2]
    model = dataclasses.replace(
        models[name], vocab_size=448, n_tokens=tokenizer.size, param_dtype="bfloat16"
    )
    weights = forward.init(jax.random.key(1), config=model)
    write_old(tmp_path / "old", weights, model, tokenizer)
    old.convert(tmp_path / "old", tmp_path / "new")
    again, same_model, _ = load_model(str(tmp_path / "new"))
    assert digest(again) == digest(weights) and same_model == model


def test_what_lay_beside_an_old_model_is_kept(before, tmp_path):
    for name in (HEAD, "reward.json"):
        (before / name).write_bytes(name.encode())
    old.convert(before, tmp_path / "new")
    for name in (HEAD, "reward.json"):
        assert (tmp_path / "new" / name).read_bytes() == name.encode()


def damage_weights(directory):
    path = directory / "weights.safetensors"
    arrays = {n: safetensors.read(t) for n, t in safetensors.read_header(path)[0].items()}
    arrays["router_bias"] = arrays["router_bias"][:, :-1]
    metadata = safetensors.read_header(path)[1]
    kinds = {n: (x.dtype, x.shape) for n, x in arrays.items()}
    safetensors.write_file(path, kinds, arrays.__getitem__, metadata=metadata)


def damage_tokenizer(directory):
    path = directory / "weights.safetensors"
    tensors = safetensors.read_header(path)[0]
    kinds = {n: (t.dtype, t.shape) for n, t in tensors.items()}
    arrays = {n: safetensors.read(t) for n, t in tensors.items()}
    safetensors.write_file(path, kinds, arrays.__getitem__, metadata={"tokenizer": "another"})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_weights, r"router_bias: got \(\(1, 3\), .*wanted \(\(1, 4\), .*of 1 such"),
        (damage_tokenizer, "its tokenizer does not match weights.safetensors"),
        (lambda path: (path / "config.json").write_text("{}"), "missing keys .*vocab_size"),
        (lambda path: (path / "weights.safetensors").unlink(), "no model in the old format"),
        (lambda path: (path.parent / "new").mkdir() or (path.parent / "new/a").touch(), "holds fi"),
    ],
)
def test_what_cannot_be_converted_is_refused(damage, message, before, tmp_path):
    damage(before)
    with pytest.raises(ValueError, match=message):
        old.convert(before, tmp_path / "new")


def test_the_command_tells_wrong_input_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["old", str(tmp_path / "nowhere"), str(tmp_path / "new")])
    with pytest.raises(SystemExit) as stop:
        old.main()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and said.startswith("error: ") and "nowhere" in said
