"""Hugging Face's checkpoints and our tree of weights: the same numbers under other names.

A table says for every tensor of a checkpoint which block of which of our arrays it fills, and how
its axes are turned; its rows serve reading and writing. NumPy only: files are read in `io`.

Facts of the formats: transformers' deepseek_v3, deepseek_v2, llama, qwen2 and qwen3 models, and the
list of DeepSeek-R1's own tensors.
"""

import math
from typing import NamedTuple

import numpy as np

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
    """A row of a table: names relative to a layer, axes of our block in the checkpoint's order."""

    name: str
    path: str
    at: Block
    out: tuple[int, ...]  # axes that make up the rows there
    into: tuple[int, ...]  # and the columns; none for a vector
    order: tuple[int, ...]
    pairs: tuple[int, int] | None = None


def _matrix(name: str, path: str, n_out: int, n_in: int, at: Block = ()) -> _Row:
    """A matrix that is stored transposed."""
    return _Row(f"{name}.weight", path, at, (n_out,), (n_in,), (1, 0))


def _vector(name: str, path: str, *axes: int, at: Block = ()) -> _Row:
    return _Row(name, path, at, axes, (), tuple(range(len(axes))))


def _gqa(a: Gqa, d: int) -> list[_Row]:
    m, j, h = a.n_kv_heads, a.queries_per_kv, a.head_dim
    rows = []
    for name, heads, at in (("q", (m, j), slice(j)), ("k", (m,), j), ("v", (m,), j + 1)):
        n = len(heads) + 1
        rows.append(
            _Row(
                f"self_attn.{name}_proj.weight", "attention/qkv", (ALL, ALL, at), (*heads, h), (d,),
                (n, *range(n)),
            )
        )  # fmt: skip
        if a.qkv_bias:
            bias = f"self_attn.{name}_proj.bias"
            rows.append(_vector(bias, "attention/qkv_bias", *heads, h, at=(ALL, at)))
    if a.qk_norm:
        rows += [_vector(f"self_attn.{x}_norm.weight", f"attention/{x}_norm", h) for x in "qk"]
    out = _Row("self_attn.o_proj.weight", "attention/out", (), (d,), (m, j, h), (1, 2, 3, 0))
    return [*rows, out]


def _mla(a: Mla, d: int, *, interleaved: bool) -> list[_Row]:
    n = a.n_heads
    pairs = lambda axis, first: (axis, first) if interleaved else None
    query = a.q_lora_rank or d
    rows = [
        _Row(
            f"self_attn.{'q_b_proj' if a.q_lora_rank else 'q_proj'}.weight", "attention/q_up", (),
            (n, a.nope_dim + a.rope_dim), (query,), (2, 0, 1), pairs(1, a.nope_dim),
        ),
        _matrix(
            "self_attn.kv_a_proj_with_mqa", "attention/kv_down", a.kv_lora_rank + a.rope_dim, d
        )._replace(pairs=pairs(0, a.kv_lora_rank)),
        _vector("self_attn.kv_a_layernorm.weight", "attention/kv_norm", a.kv_lora_rank),
        _Row(
            "self_attn.kv_b_proj.weight", "attention/kv_up", (), (n, a.nope_dim + a.v_dim),
            (a.kv_lora_rank,), (2, 0, 1),
        ),
        _Row("self_attn.o_proj.weight", "attention/out", (), (d,), (n, a.v_dim), (1, 2, 0)),
    ]  # fmt: skip
    if a.q_lora_rank:
        rows += [
            _matrix("self_attn.q_a_proj", "attention/q_down", a.q_lora_rank, d),
            _vector("self_attn.q_a_layernorm.weight", "attention/q_latent_norm", a.q_lora_rank),
        ]
    return rows


def _mlp(name: str, path: str, d: int, width: int, at: Block = ()) -> list[_Row]:
    return [
        _matrix(f"{name}.gate_proj", f"{path}/up", width, d, (*at, ALL, 0)),
        _matrix(f"{name}.up_proj", f"{path}/up", width, d, (*at, ALL, 1)),
        _matrix(f"{name}.down_proj", f"{path}/down", d, width, at),
    ]


def _layer(c: ModelConfig, *, is_moe: bool, interleaved: bool) -> list[_Row]:
    a, d = c.attention, c.d_model
    rows = [
        *(_mla(a, d, interleaved=interleaved) if isinstance(a, Mla) else _gqa(a, d)),
        _vector("input_layernorm.weight", "norms/attention", d),
        _vector("post_attention_layernorm.weight", "norms/mlp", d),
    ]
    if not is_moe:
        return rows + _mlp("mlp", "mlp", d, c.mlp_dim)
    assert c.moe is not None
    rows.append(_matrix("mlp.gate", "experts/gate", c.moe.n_experts, d))
    for e in range(c.moe.n_experts):
        rows += _mlp(f"mlp.experts.{e}", "experts", d, c.moe.hidden_dim, (e,))
    if c.moe.n_shared_experts:
        width = c.moe.n_shared_experts * c.moe.hidden_dim
        rows += _mlp("mlp.shared_experts", "mlp", d, width)
    return rows


def _piece(row: _Row, prefix: str, path: str, at: Block) -> Piece:
    shape = (math.prod(row.out), *((math.prod(row.into),) if row.into else ()))
    return Piece(
        f"{prefix}{row.name}", shape, f"{path}{row.path}", (*at, *row.at), (*row.out, *row.into),
        row.order, row.pairs,
    )  # fmt: skip


def pieces(config: ModelConfig, *, interleaved: bool) -> list[Piece]:
    """Every tensor of the checkpoint of a model, in the order of its layers.

    Args:
      config: the model. With a softmax router (DeepSeek-V2) there is no selection bias to read.
      interleaved: whether MLA's rotary pairs stand side by side (DeepSeek's own checkpoints).
    """
    c, v, d = config, config.vocab_size, config.d_model
    table = [
        _piece(_Row("model.embed_tokens.weight", "embedding", (), (v,), (d,), (0, 1)), "", "", ()),
        _piece(_vector("model.norm.weight", "final_norm", d), "", "", ()),
    ]
    if not c.tie_embeddings:
        table.append(_piece(_matrix("lm_head", "head", v, d), "", "", ()))
    biased = c.moe is not None and c.moe.score == "sigmoid"

    def layer(index: int, path: str, at: Block, *, is_moe: bool, router: int) -> None:
        prefix = f"model.layers.{index}."
        rows = _layer(c, is_moe=is_moe, interleaved=interleaved)
        table.extend(_piece(row, prefix, f"{path}/", at) for row in rows)
        if is_moe and biased:
            table.append(_selection_bias(c, prefix, router))

    for i in range(c.n_dense_layers):
        layer(i, "dense_layers", (i,), is_moe=False, router=0)
    for i in range(c.n_moe_layers):
        layer(c.n_dense_layers + i, "moe_layers", (i,), is_moe=True, router=i)
    if c.mtp:
        prefix = f"model.layers.{c.n_layers}."
        layer(c.n_layers, "mtp", (), is_moe=c.moe is not None, router=c.n_moe_layers)
        for row in (
            _vector("enorm.weight", "embedding_norm", d),
            _vector("hnorm.weight", "hidden_norm", d),
            _vector("shared_head.norm.weight", "final_norm", d),
            _matrix("eh_proj", "project", d, 2 * d),
        ):
            table.append(_piece(row, prefix, "mtp/", ()))
    return table


def _selection_bias(config: ModelConfig, prefix: str, router: int) -> Piece:
    assert config.moe is not None
    bias = _vector("mlp.gate.e_score_correction_bias", "router_bias", config.moe.n_experts)
    return _piece(bias, prefix, "", (router,))


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


def is_buffer(name: str) -> bool:
    """Whether a tensor is a table of rotary frequencies, which old checkpoints hold."""
    return name.endswith(".self_attn.rotary_emb.inv_freq")
