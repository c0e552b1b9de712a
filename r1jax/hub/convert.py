"""Hugging Face's checkpoints and our tree of weights: the same numbers under other names.

A table says for every tensor of a checkpoint which block of which of our arrays it fills, and how
its axes are turned; its rows serve reading and writing. NumPy only: files are read in `io`.

Facts of the formats: transformers' deepseek_v3, deepseek_v2, llama, qwen2 and qwen3 models, and the
list of DeepSeek-R1's own tensors.
"""

import math
from typing import NamedTuple

import numpy as np

from r1jax.model import parameters
from r1jax.model.config import Gqa, Mla, ModelConfig

STACKED = ("dense_layers", "moe_layers", "router_bias")  # arrays whose first axis counts layers
Block = tuple[int | slice, ...]
ALL = slice(None)


class Piece(NamedTuple):
    """One tensor of a checkpoint.

    Attributes:
      name: there.
      shape: there; matrices are [out, in].
      path: of our array, from the root of the tree, joined by "/".
      at: the block of our array that it fills.
      split: its shape with axes split until each is one of ours.
      order: the block's axes, as places in `split`.
      pairs: (axis of `split`, first entry) from which on rotary pairs stand side by side there,
        2j and 2j + 1, and half the width apart here, j and j + X/2; None if nothing rotates so.
    """

    name: str
    shape: tuple[int, ...]
    path: str
    at: Block
    split: tuple[int, ...]
    order: tuple[int, ...]
    pairs: tuple[int, int] | None

    def ours(self, tensor: np.ndarray) -> np.ndarray:
        """The block of our array; a view, unless pairs move."""
        x = tensor.reshape(self.split)
        if self.pairs:
            x = x.take(self._halves(), axis=self.pairs[0])
        return x.transpose(self.order)

    def theirs(self, block: np.ndarray) -> np.ndarray:
        """The tensor of the checkpoint, contiguous."""
        x = block.transpose(np.argsort(self.order))
        if self.pairs:
            x = x.take(np.argsort(self._halves()), axis=self.pairs[0])
        return np.ascontiguousarray(x).reshape(self.shape)

    def _halves(self) -> np.ndarray:
        assert self.pairs is not None
        axis, first = self.pairs
        rotary = np.arange(first, self.split[axis])
        return np.concatenate([np.arange(first), rotary[::2], rotary[1::2]])


class _Row(NamedTuple):
    """A row of a table: one tensor of a layer, and the block of our array that it fills.

    Attributes:
      name: there, relative to the layer.
      path: of our array, relative to the layer.
      columns: axes of the block that make up the columns there, none for a vector; the others make
        up the rows.
      at: the block.
      pairs: as in `Piece`.
    """

    name: str
    path: str
    columns: tuple[int, ...]
    at: Block = ()
    pairs: tuple[int, int] | None = None


def _matrix(name: str, path: str, at: Block = ()) -> _Row:
    """A matrix that is stored transposed."""
    return _Row(f"{name}.weight", path, (0,), at)


def _vector(name: str, path: str, at: Block = ()) -> _Row:
    return _Row(name, path, (), at)


def _gqa(a: Gqa) -> list[_Row]:
    rows, j = [], a.queries_per_kv
    for name, at in (("q", slice(j)), ("k", j), ("v", j + 1)):
        projection = f"self_attn.{name}_proj"
        rows.append(_matrix(projection, "attention/qkv", (ALL, ALL, at)))
        if a.qkv_bias:
            rows.append(_vector(f"{projection}.bias", "attention/qkv_bias", (ALL, at)))
    if a.qk_norm:
        rows += [_vector(f"self_attn.{x}_norm.weight", f"attention/{x}_norm") for x in "qk"]
    return [*rows, _Row("self_attn.o_proj.weight", "attention/out", (0, 1, 2))]


def _mla(a: Mla, *, interleaved: bool) -> list[_Row]:
    def paired(row: _Row, axis: int, first: int) -> _Row:
        return row._replace(pairs=(axis, first)) if interleaved else row

    query = "q_b_proj" if a.q_lora_rank else "q_proj"
    down = _matrix("self_attn.kv_a_proj_with_mqa", "attention/kv_down")
    rows = [
        paired(_matrix(f"self_attn.{query}", "attention/q_up"), 1, a.nope_dim),
        paired(down, 0, a.kv_lora_rank),
        _vector("self_attn.kv_a_layernorm.weight", "attention/kv_norm"),
        _matrix("self_attn.kv_b_proj", "attention/kv_up"),
        _Row("self_attn.o_proj.weight", "attention/out", (0, 1)),
    ]
    if a.q_lora_rank:
        rows += [
            _matrix("self_attn.q_a_proj", "attention/q_down"),
            _vector("self_attn.q_a_layernorm.weight", "attention/q_latent_norm"),
        ]
    return rows


def _mlp(name: str, path: str, at: Block = ()) -> list[_Row]:
    return [
        _matrix(f"{name}.gate_proj", f"{path}/up", (*at, ALL, 0)),
        _matrix(f"{name}.up_proj", f"{path}/up", (*at, ALL, 1)),
        _matrix(f"{name}.down_proj", f"{path}/down", at),
    ]


def _layer(c: ModelConfig, *, is_moe: bool, interleaved: bool) -> list[_Row]:
    a = c.attention
    rows = [
        *(_mla(a, interleaved=interleaved) if isinstance(a, Mla) else _gqa(a)),
        _vector("input_layernorm.weight", "norms/attention"),
        _vector("post_attention_layernorm.weight", "norms/mlp"),
    ]
    if not is_moe:
        return rows + _mlp("mlp", "mlp")
    assert c.moe is not None
    rows.append(_matrix("mlp.gate", "experts/gate"))
    for e in range(c.moe.n_experts):
        rows += _mlp(f"mlp.experts.{e}", "experts", (e,))
    if c.moe.n_shared_experts:
        rows += _mlp("mlp.shared_experts", "mlp")
    return rows


def _piece(row: _Row, array: tuple[int, ...], prefix: str, path: str, at: Block) -> Piece:
    """The tensor of a row, out of our array of this shape; prefix and path are its layer's."""
    at = (*at, *row.at)
    kept = [
        len(range(n)[part]) for n, part in zip(array, at, strict=False) if isinstance(part, slice)
    ]
    block = (*kept, *array[len(at) :])
    rows = [axis for axis in range(len(block)) if axis not in row.columns]
    turned = [*rows, *row.columns]
    split = tuple(block[axis] for axis in turned)
    sides = (split[: len(rows)], split[len(rows) :]) if row.columns else (split,)
    return Piece(
        name=f"{prefix}{row.name}",
        shape=tuple(math.prod(side) for side in sides),
        path=f"{path}{row.path}",
        at=at,
        split=split,
        order=tuple(turned.index(axis) for axis in range(len(turned))),
        pairs=row.pairs,
    )


def pieces(config: ModelConfig, *, interleaved: bool) -> list[Piece]:
    """Every tensor of the checkpoint of a model, in the order of its layers.

    Args:
      config: the model. With a softmax router (DeepSeek-V2) there is no selection bias to read.
      interleaved: whether MLA's rotary pairs stand side by side (DeepSeek's own checkpoints).
    """
    c, found, arrays = config, [], parameters.table(config)
    biased = c.moe is not None and c.moe.score == "sigmoid"

    def add(rows: list[_Row], prefix: str = "", path: str = "", at: Block = ()) -> None:
        found.extend(_piece(r, arrays[f"{path}{r.path}"].shape, prefix, path, at) for r in rows)

    def layer(index: int, path: str, at: Block, *, is_moe: bool, router: int) -> None:
        prefix = f"model.layers.{index}."
        add(_layer(c, is_moe=is_moe, interleaved=interleaved), prefix, path, at)
        if is_moe and biased:
            found.append(_selection_bias(c, prefix, router))

    add([_Row("model.embed_tokens.weight", "embedding", (1,))])
    add([_vector("model.norm.weight", "final_norm")])
    if not c.tie_embeddings:
        add([_matrix("lm_head", "head")])
    for i in range(c.n_dense_layers):
        layer(i, "dense_layers/", (i,), is_moe=False, router=0)
    for i in range(c.n_moe_layers):
        layer(c.n_dense_layers + i, "moe_layers/", (i,), is_moe=True, router=i)
    if c.mtp:
        layer(c.n_layers, "mtp/", (), is_moe=c.moe is not None, router=c.n_moe_layers)
        module = [
            _vector("enorm.weight", "embedding_norm"),
            _vector("hnorm.weight", "hidden_norm"),
            _vector("shared_head.norm.weight", "final_norm"),
            _matrix("eh_proj", "project"),
        ]
        add(module, f"model.layers.{c.n_layers}.", "mtp/")
    return found


def _selection_bias(config: ModelConfig, prefix: str, router: int) -> Piece:
    bias = _vector("mlp.gate.e_score_correction_bias", "router_bias")
    return _piece(bias, parameters.router_bias(config).shape, prefix, "", (router,))


def softmax_biases(config: ModelConfig) -> list[Piece]:
    """The selection biases of softmax routers: no row of `pieces`, since DeepSeek-V2 has none.

    A model that we trained with `bias_rate` has them; no other model does.
    """
    if config.moe is None or config.moe.score == "sigmoid":
        return []
    prefixes = [f"model.layers.{config.n_dense_layers + i}." for i in range(config.n_routers)]
    return [_selection_bias(config, prefix, i) for i, prefix in enumerate(prefixes)]


def copies(config: ModelConfig) -> dict[str, str]:
    """Tensors that the release of DeepSeek-V3 holds twice: name of the copy -> name.

    The MTP module shares the embedding and the head, but its files repeat both.
    """
    if not config.mtp:
        return {}
    prefix = f"model.layers.{config.n_layers}."
    head = "model.embed_tokens.weight" if config.tie_embeddings else "lm_head.weight"
    return {
        f"{prefix}embed_tokens.weight": "model.embed_tokens.weight",
        f"{prefix}shared_head.head.weight": head,
    }


def output_biases(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Tensors of zeros by name, with their shapes, that a Llama with biases holds.

    Its attention_bias means the output's too, which Qwen2's networks lack.
    """
    a = config.attention
    if not isinstance(a, Gqa) or not a.qkv_bias:
        return {}
    names = [f"model.layers.{i}.self_attn.o_proj.bias" for i in range(config.n_layers)]
    return dict.fromkeys(names, (config.d_model,))


def is_buffer(name: str) -> bool:
    """Whether a tensor is a table of rotary frequencies, which old checkpoints hold."""
    return name.endswith(".self_attn.rotary_emb.inv_freq")
