"""What we write as GGUF we read again: the same weights, ids, roles and template.

That llama.cpp reads it so too is tested where it is installed (`tests/reference/test_engines.py`).
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.hub.artifacts import load_model, open_model
from r1jax.hub.gguf.write import export_gguf
from r1jax.hub.write import hugging_face_tokenizer
from r1jax.io.digests import leaves_by_path
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.tokenizer import SentencePieceTokenizer
from r1jax.types import Weights

gguf = pytest.importorskip("gguf")
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
TEXTS = ["What is 12 + 30 - 7?", "等等, 12个", "a\n\nb  c\n", "<think>\nx</think> 7", "é😀 </s>"]


@pytest.fixture(scope="module")
def tokenizer(nano_base):
    return load_model(str(nano_base))[2]


def export(path, weights, model, tokenizer, *, dtype="float32", template="plain"):
    export_gguf(
        path,
        weights,
        model=model,
        tokenizer=tokenizer,
        template=template,
        sampling={},
        dtype=dtype,
        max_positions=64,
    )
    return open_model(str(path), how=HOW, mesh=None)


def fitted(model, weights, tokenizer):
    """The network with rows enough for the tokenizer."""
    vocabulary = tokenizer.size + 3
    model = dataclasses.replace(model, vocab_size=vocabulary, n_tokens=tokenizer.size)
    rng = np.random.default_rng(1)

    def grown(x, axis):
        shape = list(x.shape)
        shape[axis] = vocabulary
        return rng.normal(size=shape).astype(np.float32)

    params = dict(weights.params)
    params["embedding"] = grown(params["embedding"], 0)
    if "head" in params:
        params["head"] = grown(params["head"], 1)
    return model, Weights(params, weights.router_bias_LE)


def assert_same(got: Weights, want: Weights, *, tolerance=0.0):
    got_leaves, want_leaves = leaves_by_path(got.params), leaves_by_path(want.params)
    assert got_leaves.keys() == want_leaves.keys()
    for path, leaf in want_leaves.items():
        np.testing.assert_allclose(got_leaves[path], leaf, rtol=tolerance, err_msg=path)
    np.testing.assert_array_equal(got.router_bias_LE, want.router_bias_LE)


@pytest.mark.parametrize("name", ["gqa_small", "gqa_bias", "gqa_norm", "mla_moe"])
def test_a_network_of_each_family_comes_back(name, models, weights, tokenizer, tmp_path):
    """Llama, Qwen2 (tied), Qwen3 and DeepSeek-V3."""
    model, own = fitted(models[name], weights(name), tokenizer)
    again, same, theirs = export(tmp_path / "m.gguf", own, model, tokenizer)
    assert_same(again, own)
    kept = {"vocab_size", "n_tokens", "n_layers", "n_dense_layers", "mlp_dim", "tie_embeddings"}
    assert all(getattr(same, field) == getattr(model, field) for field in kept)
    assert (same.attention, same.rope.theta) == (model.attention, model.rope.theta)
    for text in TEXTS[:4]:
        assert theirs.encode(text) == tokenizer.encode(text)
        assert theirs.decode(tokenizer.encode(text)) == text
    roles = [(t.bos_id, t.eos_id, t.pad_id, t.stop_ids) for t in (theirs, tokenizer)]
    assert roles[0] == roles[1]
    chat = hugging_face_tokenizer(tokenizer, "plain").chat
    assert theirs.chat and chat and theirs.chat.source == chat.source


@pytest.mark.parametrize(("width", "architecture"), [(32, "llama"), (64, "qwen2")])
def test_a_qwen2_whose_heads_are_not_the_width_is_a_llama(
    width, architecture, models, tokenizer, tmp_path
):
    """llama.cpp refuses it as a qwen2."""
    model = dataclasses.replace(models["gqa_bias"], d_model=width, vocab_size=tokenizer.size)
    model = dataclasses.replace(model, n_tokens=tokenizer.size)
    own = forward.init(jax.random.key(0), config=model)
    again, same, _ = export(tmp_path / "m.gguf", own, model, tokenizer)
    assert_same(again, own)
    assert same.attention == model.attention
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    assert reader.fields["general.architecture"].contents() == architecture


def test_layers_without_compressed_queries_are_padded_to_27(nano_base, tmp_path):
    """llama.cpp has such a DeepSeek at 26 or 27 layers alone: 25 layers of zeros go before."""
    weights, model, tokenizer = load_model(str(nano_base))
    again, same, _ = export(tmp_path / "m.gguf", weights, model, tokenizer)
    assert_same(again, weights)
    assert (same.n_layers, same.n_dense_layers) == (model.n_layers, model.n_dense_layers)
    reader = gguf.GGUFReader(tmp_path / "m.gguf")
    assert reader.fields["deepseek2.block_count"].contents() == 27
    assert reader.fields["deepseek2.leading_dense_block_count"].contents() == 26
    for tensor in reader.tensors:
        layer = tensor.name.split(".")[1]
        if layer.isdigit() and "exp_probs_b" not in tensor.name:
            assert np.any(tensor.data) == (int(layer) >= 25), tensor.name


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("bfloat16", 8e-3)])
def test_only_matrices_get_a_small_dtype(dtype, tolerance, nano_base, tmp_path):
    weights, model, tokenizer = load_model(str(nano_base))
    again, *_ = export(tmp_path / "m.gguf", weights, model, tokenizer, dtype=dtype)
    for path, leaf in leaves_by_path(weights.params).items():
        got = np.asarray(leaves_by_path(again.params)[path])
        np.testing.assert_allclose(got, leaf, rtol=tolerance, atol=1e-6, err_msg=path)
        assert np.array_equal(got, leaf) == ("norm" in path or "gate" in path), path


def test_a_weight_that_float16_has_no_number_for_is_refused(nano_base, tmp_path):
    weights, model, tokenizer = load_model(str(nano_base))
    params = {**weights.params, "embedding": weights.params["embedding"].at[3, 2].set(1e5)}
    with pytest.raises(ValueError, match=r"token_embd.weight: .*65504"):
        export(
            tmp_path / "m.gguf",
            Weights(params, weights.router_bias_LE),
            model,
            tokenizer,
            dtype="float16",
        )


def test_an_mtp_module_is_left_out_and_that_is_said(models, weights, tokenizer, tmp_path, capsys):
    model, own = fitted(models["mla_moe_mtp"], weights("mla_moe_mtp"), tokenizer)
    _, same, _ = export(tmp_path / "m.gguf", own, model, tokenizer)
    assert not same.mtp and "the MTP module is left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mla_v2", "rope 'yarn'"),
        ("gqa_moe", "no architecture of grouped-query"),
        ("mla_dense", "and no MoE"),
    ],
)
def test_what_llama_cpp_lacks_is_refused(name, message, models, weights, tokenizer, tmp_path):
    model, own = fitted(models[name], weights(name), tokenizer)
    unbiased = own._replace(router_bias_LE=jnp.zeros_like(own.router_bias_LE))
    with pytest.raises(ValueError, match=message):
        export(tmp_path / "m.gguf", unbiased, model, tokenizer)
    assert not (tmp_path / "m.gguf").exists()


def test_how_to_sample_goes_into_the_file(nano_base, tmp_path):
    weights, model, _ = load_model(str(nano_base))
    sampling = {"temperature": 0.5, "top_p": 0.75, "top_k": 20, "do_sample": True}
    tokenizer = SentencePieceTokenizer.load(nano_base / "tokenizer.model", sampling)
    *_, theirs = export(tmp_path / "m.gguf", weights, model, tokenizer)
    assert isinstance(theirs, HfTokenizer)
    assert theirs.generation == {"temperature": 0.5, "top_p": 0.75, "top_k": 20}
