"""Hugging Face checkpoints of every architecture we have, read to their place.

Reading goes tensor by tensor and, for a model that is not small, layer by layer: a layer's block of
one of our arrays is put together on the host, sent to where it belongs on the mesh and forgotten,
so that the host never holds the model beside the device's copy.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from r1jax import sharding
from r1jax.config import UserError
from r1jax.hub import convert, families
from r1jax.hub import tensors as files
from r1jax.hub.convert import Piece
from r1jax.hub.gguf import tokenizer as gguf_tokenizer
from r1jax.hub.gguf.file import GgufFile
from r1jax.hub.safetensors import Tensor
from r1jax.io.progress import Progress
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig, ModelConfig
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Weights

ARRAYS = 64  # layers' arrays between two lines of progress on no terminal
SMALL = 50_000_000  # parameters: fewer are read array by array, too soon to show progress


def _is_small(table: list[Piece]) -> bool:
    return sum(math.prod(piece.shape) for piece in table) < SMALL


def _blocks(table: list[Piece]) -> dict[str, dict[int | None, list[Piece]]]:
    """The pieces of each of our arrays, by layer where layers are stacked; big single ones first.

    What is not stacked stands on the host as a whole: early, while little else is loaded. So does
    every array of a small model, which saves a compiled program for each.
    """
    arrays: dict[str, dict[int | None, list[Piece]]] = defaultdict(lambda: defaultdict(list))
    by_layer = () if _is_small(table) else convert.STACKED
    for piece in sorted(table, key=lambda p: p.path.startswith(by_layer)):
        if piece.path.startswith(by_layer):
            layer, *rest = piece.at
            assert isinstance(layer, int)
            arrays[piece.path][layer].append(piece._replace(at=tuple(rest)))
        else:
            arrays[piece.path][None].append(piece)
    return arrays


@partial(jax.jit, donate_argnums=0)
def _put(array: jax.Array, block: jax.Array, layer: jax.Array) -> jax.Array:
    return jax.lax.dynamic_update_index_in_dim(array, block, layer, 0)


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves of weights, or of their logical axes, in the tree's order, by paths with "/"."""
    keyed = jax.tree_util.tree_leaves_with_path(tree, is_leaf=sharding.is_axes)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in keyed}


def shapes(model: ModelConfig) -> Weights:
    """Returns the weights of a network as shapes and dtypes."""
    return forward.shapes(model)


def _place(
    table: list[Piece],
    value: Callable[[str], np.ndarray],
    *,
    model: ModelConfig,
    mesh: Mesh | None,
    seen: Callable[[int], None],
) -> Weights:
    """Fills our arrays from tensors by name; `seen` hears the bytes of each block that is done."""
    like, names = shapes(model), forward.logical_axes(model)
    want = named_leaves(like.params) | {"router_bias": like.router_bias_LE}
    axes = named_leaves(names.params)
    axes["router_bias"] = names.router_bias_LE
    layouts = {path: sharding.layout(x.shape, mesh, axes[path], path) for path, x in want.items()}

    def assemble(pieces: list[Piece], shape: tuple[int, ...], dtype) -> np.ndarray:
        block, nbytes = np.empty(shape, dtype), 0
        for piece in pieces:
            tensor = value(piece.name)
            nbytes += tensor.nbytes
            block[piece.at] = piece.ours(tensor)
        seen(nbytes)
        return block

    filled: dict[str, jax.Array] = {}
    for path, layers in _blocks(table).items():
        shape, dtype, logical = want[path].shape, want[path].dtype, axes[path]
        if None in layers:
            filled[path] = sharding.put(assemble(layers[None], shape, dtype), mesh, logical, path)
            continue
        array = jnp.zeros(shape, dtype, device=layouts[path])
        for layer, pieces in layers.items():
            block = sharding.put(assemble(pieces, shape[1:], dtype), mesh, logical[1:], path)
            array = _put(array, block, jnp.int32(layer or 0))
        filled[path] = jax.block_until_ready(array)
    bias = filled.pop("router_bias", None)
    if bias is None:
        bias = jnp.zeros(want["router_bias"].shape, want["router_bias"].dtype)
    ordered = [filled[path] for path in named_leaves(like.params)]
    return Weights(jax.tree.unflatten(jax.tree.structure(like.params), ordered), bias)


def _with_progress(
    title: str,
    table: list[Piece],
    value: Callable[[str], np.ndarray],
    *,
    model: ModelConfig,
    mesh: Mesh | None,
) -> Weights:
    if _is_small(table):
        return _place(table, value, model=model, mesh=mesh, seen=lambda _: None)
    total = sum(len(layers) for layers in _blocks(table).values())
    start, done, nbytes = time.perf_counter(), 0, 0
    with Progress(title, start=0, total=total, every=ARRAYS) as progress:

        def seen(more: int) -> None:
            nonlocal done, nbytes
            done, nbytes = done + 1, nbytes + more
            speed = nbytes / max(time.perf_counter() - start, 1e-9)
            progress.advance(done, GB=nbytes / 1e9, MB_per_s=speed / 1e6)

        return _place(table, value, model=model, mesh=mesh, seen=seen)


def read_weights(
    directory: Path, *, model: ModelConfig, interleaved: bool, mesh: Mesh | None
) -> Weights:
    """Reads a directory's safetensors straight to their place on the mesh.

    Args:
      directory: with one or several safetensors files.
      model: the network, as its config.json describes it.
      interleaved: as for `convert.pieces`.
      mesh: where the weights go; None keeps them on the default device.

    Raises:
      UserError: names the file and the tensor that is damaged, missing, unexpected or misshapen.
    """
    return _read(files.find(directory), directory, model=model, interleaved=interleaved, mesh=mesh)


def _read(
    tensors: Mapping[str, Tensor],
    directory: Path,
    *,
    model: ModelConfig,
    interleaved: bool,
    mesh: Mesh | None,
) -> Weights:
    table = convert.pieces(model, interleaved=interleaved)
    biases = convert.softmax_biases(model)
    table += biases if any(piece.name in tensors for piece in biases) else []
    files.check({n: (t.shape, t.dtype) for n, t in tensors.items()}, table, model, directory)
    files.check_spares(tensors, model, directory)
    value = partial(files.read, tensors)
    return _with_progress(f"reading {directory.name}", table, value, model=model, mesh=mesh)


def open_directory(
    directory: Path,
    document: Mapping[str, Any],
    *,
    tokenizer: Tokenizer,
    how: ExecutionConfig,
    mesh: Mesh | None,
) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads a Hugging Face directory whose config.json is `document`.

    Raises:
      UserError: if the architecture is none of ours, or a file is missing or damaged; names it.
    """
    where = str(directory / "config.json")
    vocabulary = document.get("vocab_size")
    if isinstance(vocabulary, int) and tokenizer.size > vocabulary:
        raise UserError(
            f"{directory}: the tokenizer has {tokenizer.size} ids, the embedding {vocabulary} rows"
        )
    model = families.model_config(document, where, n_tokens=tokenizer.size, how=how)
    tensors = files.find(directory)
    model = files.fitted(model, tensors, directory)
    interleaved = families.is_interleaved(document)
    weights = _read(tensors, directory, model=model, interleaved=interleaved, mesh=mesh)
    return weights, model, tokenizer


def open_gguf(
    path: Path, *, how: ExecutionConfig, mesh: Mesh | None
) -> tuple[Weights, ModelConfig, Tokenizer]:
    """Reads a GGUF file of an architecture that we have; quantised weights become floats.

    Raises:
      ImportError: if the package gguf is not installed.
      UserError: if the file is damaged, or holds what r1jax lacks; names it.
    """
    file = GgufFile(path)
    vocabulary = file.vocabulary()
    try:
        tokenizer = gguf_tokenizer.build(gguf_tokenizer.GgufVocabulary(**vocabulary))
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error
    document = file.config()
    model = families.model_config(document, str(path), n_tokens=tokenizer.size, how=how)
    files.check_depth(model, file.shapes().keys(), path)
    table = convert.pieces(model, interleaved=families.is_interleaved(document))

    def value(name: str) -> np.ndarray:
        tensor = file.read(name)
        files.check_finite(tensor, f"{path}: {name}")
        return tensor

    files.check(
        {n: (s, np.dtype(np.float32)) for n, s in file.shapes().items()}, table, model, path
    )
    files.check_zeros(file.shapes(), value, model, path)
    weights = _with_progress(f"reading {path.name}", table, value, model=model, mesh=mesh)
    return weights, model, tokenizer
