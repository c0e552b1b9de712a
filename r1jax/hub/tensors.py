"""The tensors of a Hugging Face directory against those that a network needs.

Every tensor is read: as a weight, or to see that it repeats one. What the config says and the files
do not bear out is either an error that names both, or what transformers 5 makes of it, and said.
"""

import dataclasses
import re
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

import ml_dtypes
import numpy as np

from r1jax.config import UserError
from r1jax.hub import convert, safetensors
from r1jax.hub.convert import Piece
from r1jax.hub.safetensors import Tensor
from r1jax.model import rotary
from r1jax.model.config import ModelConfig

FP8 = np.dtype(ml_dtypes.float8_e4m3fn)
SCALE = "_scale_inv"
FP8_BLOCK = 128  # a constant: rows / scale rows is wrong where the last block is short
EXPONENTS = {  # bits that are all set in NaN and infinity alone, by dtype
    np.dtype(np.float32): (np.uint32, 0x7F800000),
    np.dtype(np.float16): (np.uint16, 0x7C00),
    np.dtype(ml_dtypes.bfloat16): (np.uint16, 0x7F80),
    FP8: (np.uint8, 0x7F),
}
MANY = 1_000  # layers or experts, of which a list takes long to make
SLICE = 2**20  # values looked at together, which bounds the memory for it
LAYER = re.compile(r"model\.layers\.(\d+)\.")
EXPERT = re.compile(r"\.mlp\.experts\.(\d+)\.")
FUSED = re.compile(r"(.*\.mlp\.experts)\.(gate_up_proj|down_proj)")
EMBEDDING, HEAD = "model.embed_tokens.weight", "lm_head.weight"
Described = tuple[tuple[int, ...], np.dtype]


def dequantise(weight: np.ndarray, scale: np.ndarray, name: str) -> np.ndarray:
    """float32 weights of blocks of 128 x 128 that share a scale (DeepSeek-V3's float8 files).

    Raises:
      UserError: if the scales are not one per block; names the tensor.
    """
    rows, columns = weight.shape
    want = (-(-rows // FP8_BLOCK), -(-columns // FP8_BLOCK))
    if scale.shape != want:
        raise UserError(f"{name}{SCALE}: got scales {scale.shape}, wanted {want}")
    whole = np.empty(weight.shape, np.float32)
    for i, row in enumerate(scale.astype(np.float32)):
        block = slice(i * FP8_BLOCK, (i + 1) * FP8_BLOCK)
        whole[block] = weight[block]
        whole[block] *= np.repeat(row, FP8_BLOCK)[None, :columns]
    return whole


def check_finite(tensor: np.ndarray, name: str) -> None:
    """Checks that a tensor of floats holds no NaN and no infinity.

    Raises:
      UserError: names the tensor, and how many it holds.
    """
    unsigned, exponent = EXPONENTS[tensor.dtype]
    bits = tensor.reshape(-1).view(unsigned)
    count = sum(
        int(np.count_nonzero((bits[start : start + SLICE] & exponent) == exponent))
        for start in range(0, bits.size, SLICE)
    )
    if count:
        raise UserError(f"{name}: {count} of its {bits.size} values are NaN or infinite")


def read(tensors: Mapping[str, Tensor], name: str) -> np.ndarray:
    """Returns the values of a tensor, float8 with its scales applied; they are finite.

    Raises:
      UserError: names the tensor that is not, or whose scales do not fit.
    """
    tensor = _finite(tensors, name)
    if tensor.dtype != FP8:
        return tensor
    return dequantise(tensor, _finite(tensors, f"{name}{SCALE}"), name)


def _finite(tensors: Mapping[str, Tensor], name: str) -> np.ndarray:
    tensor = safetensors.read(tensors[name])
    if tensor.dtype == np.float64:
        with np.errstate(over="ignore"):  # becomes infinite, which is told
            tensor = tensor.astype(np.float32)
    check_finite(tensor, f"{tensors[name].file}: {name}")
    return tensor


def find(directory: Path) -> dict[str, Tensor]:
    """Returns the tensors of a directory by name, fused experts taken apart.

    Transformers 5 may save the experts of a layer as gate_up_proj [experts, 2 * width, d] and
    down_proj [experts, d, width]; an expert's matrices lie one after the other in them.

    Raises:
      UserError: as `safetensors.find`, or if a layer has its experts twice.
    """
    tensors: dict[str, Tensor] = {}
    for name, tensor in safetensors.find(directory).items():
        for part, piece in _unfused(name, tensor):
            if part in tensors:
                raise UserError(f"{directory}: {part} is there twice, alone and among all experts")
            tensors[part] = piece
    return tensors


def _unfused(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    match = FUSED.fullmatch(name)
    if match is None or len(tensor.shape) != 3:
        yield name, tensor
        return
    experts, rows, columns = tensor.shape
    parts = ("gate_proj", "up_proj") if match[2] == "gate_up_proj" else ("down_proj",)
    if rows % len(parts):
        raise UserError(f"{tensor.file}: {name} is {list(tensor.shape)}, wanted even rows")
    shape = (rows // len(parts), columns)
    nbytes = shape[0] * columns * tensor.dtype.itemsize
    for e in range(experts):
        for i, part in enumerate(parts):
            begin = tensor.begin + (e * len(parts) + i) * nbytes
            yield f"{match[1]}.{e}.{part}.weight", tensor._replace(shape=shape, begin=begin)


def check_depth(model: ModelConfig, names: Collection[str], where: Path) -> int:
    """Checks that a config has no more layers and experts than the files; returns their layers.

    Before `convert.pieces` makes a list of them, which takes long for a million.

    Args:
      model: as config.json describes it.
      names: of the tensors that are there.
      where: the checkpoint, for the error.

    Raises:
      UserError: names the field.
    """
    layers = 1 + max((int(m[1]) for name in names if (m := LAYER.match(name))), default=-1)
    if model.n_layers > (layers or MANY):
        raise UserError(
            f"{where}: num_hidden_layers is {model.n_layers}, but its files have {layers} layers"
        )
    experts = 1 + max((int(m[1]) for name in names if (m := EXPERT.search(name))), default=-1)
    if model.moe is not None and model.n_moe_layers and model.moe.n_experts > (experts or MANY):
        raise UserError(
            f"{where}: n_routed_experts is {model.moe.n_experts}, but its files have {experts}"
        )
    return layers


def fitted(model: ModelConfig, tensors: Mapping[str, Tensor], where: Path) -> ModelConfig:
    """Returns the network that the files hold, where transformers 5 departs from the config too.

    A head that differs from the embedding is not tied to it; an MTP module that is not there, as
    in what transformers saved, is left out. Both are said on stderr.

    Args:
      model: as config.json describes it.
      tensors: those of its directory.
      where: the directory.

    Raises:
      UserError: if the config has more layers or experts than the files.
    """
    layers = check_depth(model, tensors, where)
    if model.mtp and layers == model.n_layers:
        _say(f"{where}: its files have no MTP module, though the config does: read without it")
        model = dataclasses.replace(model, mtp=False)
    if model.tie_embeddings and not _is_same(tensors, HEAD, EMBEDDING):
        _say(f"{where}: tie_word_embeddings is true, but lm_head differs: read untied")
        model = dataclasses.replace(model, tie_embeddings=False)
    return model


def _say(text: str) -> None:
    print(f"warning: {text}", file=sys.stderr, flush=True)


def _is_same(tensors: Mapping[str, Tensor], copy: str, name: str) -> bool:
    """Whether a tensor repeats another; so it does if one is not there."""
    if not {copy, name} <= tensors.keys():
        return True
    same = tensors[copy].shape == tensors[name].shape
    return same and np.array_equal(read(tensors, copy), read(tensors, name))


def check(
    tensors: Mapping[str, Described], table: list[Piece], model: ModelConfig, where: Path
) -> None:
    """Checks that a checkpoint has exactly the tensors of the table, each of its shape.

    Beside them may stand what `check_spares` reads, and shared experts without a number.

    Args:
      tensors: shape and dtype of each that is there.
      table: `convert.pieces` of the model.
      model: the network.
      where: the checkpoint, for the error.

    Raises:
      UserError: names missing, unexpected and misshapen tensors.
    """
    wanted = {piece.name: piece for piece in table}
    known = wanted.keys() & tensors.keys()
    missing = sorted(wanted.keys() - tensors.keys())
    scales = {f"{n}{SCALE}" for n in known if tensors[n][1] == FP8}
    missing += sorted(scales - tensors.keys())
    strangers = tensors.keys() - wanted.keys() - scales - copies(model).keys()
    strangers -= convert.output_biases(model).keys()
    unexpected = sorted(
        n for n in strangers if not convert.is_buffer(n) and not _is_empty(n, tensors[n][0], model)
    )
    wrong = [
        f"{n}: {list(tensors[n][0])}, wanted {list(wanted[n].shape)}"
        for n in known
        if tensors[n][0] != wanted[n].shape
    ]
    numbers = [n for n in known | (scales & tensors.keys()) if tensors[n][1].kind in "bui"]
    wrong += [f"{n}: {tensors[n][1]}, wanted floats" for n in numbers]
    flat = [n for n in known if tensors[n][1] == FP8 and len(tensors[n][0]) != 2]
    wrong += [f"{n}: float8, wanted so only of matrices" for n in flat]
    if missing or unexpected or wrong:
        module = f"model.layers.{model.n_layers}."
        hint = (
            f"; {module}* is an MTP module, which num_nextn_predict_layers 1 reads"
            if not model.mtp and f"{module}eh_proj.weight" in unexpected
            else ""
        )
        raise UserError(
            f"{where}: missing {_some(missing)}, unexpected {_some(unexpected)}, "
            f"of the wrong kind {_some(sorted(wrong))}{hint}"
        )


def _some(names: list[str]) -> str:
    return f"{names[:5]}" + (f" of {len(names)}" if len(names) > 5 else "")


def _is_empty(name: str, shape: tuple[int, ...], model: ModelConfig) -> bool:
    """Whether a tensor is of no shared experts, which transformers saves as [0, d]."""
    shared = model.moe.n_shared_experts if model.moe else 1
    return not shared and ".mlp.shared_experts." in name and 0 in shape


def copies(model: ModelConfig) -> dict[str, str]:
    """Returns the tensors that may repeat another: name of the copy -> name."""
    return convert.copies(model) | ({HEAD: EMBEDDING} if model.tie_embeddings else {})


def check_zeros(
    names: Collection[str], value: Callable[[str], np.ndarray], model: ModelConfig, where: Path
) -> None:
    """Checks that attention's output has no bias but zeros.

    Raises:
      UserError: names the tensor that holds another.
    """
    for name in convert.output_biases(model).keys() & set(names):
        if np.any(value(name)):
            raise UserError(f"{where}: {name} is not zero, r1jax has no such bias")


def check_spares(tensors: Mapping[str, Tensor], model: ModelConfig, where: Path) -> None:
    """Checks that what no weight is read from says nothing of its own.

    A copy repeats its original to the bit; an old table of rotary frequencies is that of the
    config, within the rounding of the dtype it was saved in; a bias of attention's output is zero.

    Raises:
      UserError: names the tensor that differs.
    """
    for copy, name in copies(model).items():
        if not _is_same(tensors, copy, name):
            raise UserError(f"{where}: {copy} differs from {name}, which r1jax takes for both")
    check_zeros(tensors, partial(read, tensors), model, where)
    wanted = rotary.frequencies(model.rope, model.attention.rotary_dim)
    for name in filter(convert.is_buffer, tensors):
        buffer = read(tensors, name).astype(np.float32)
        if buffer.shape != wanted.shape or not np.allclose(buffer, wanted, 1e-2, 1e-6):
            raise UserError(f"{where}: {name} holds other rotary frequencies than the config's")
