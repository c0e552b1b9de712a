import dataclasses
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from tokenizers import pre_tokenizers

from r1jax import sharding
from r1jax.hub import families, read, safetensors
from r1jax.hub.artifacts import load_model, open_model, save_model
from r1jax.hub.gguf.tokenizer import GgufVocabulary, build
from r1jax.hub.write import export_model, hugging_face_tokenizer
from r1jax.io.digests import digest
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig
from r1jax.text import templates
from r1jax.text.files import read_tokenizer
from r1jax.text.hf_tokenizer import HfTokenizer
from r1jax.text.tokenizer import WHOLE

GOLDEN = Path(__file__).parent.parent / "golden/hugging_face"
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


@pytest.fixture(scope="module")
def tiny(nano_base) -> HfTokenizer:
    return hugging_face_tokenizer(load_model(str(nano_base))[2], "plain")


def export(directory, weights, model, tokenizer, *, dtype="bfloat16", shard_bytes=12_000):
    export_model(
        directory,
        weights,
        model=model,
        tokenizer=tokenizer,
        template="chat",
        sampling={},
        dtype=dtype,
        max_positions=32,
        shard_bytes=shard_bytes,
    )


@pytest.mark.parametrize("family", sorted(p.name for p in GOLDEN.iterdir() if p.is_dir()))
def test_what_was_read_is_written_bit_for_bit(family, tmp_path, tiny):
    document = json.loads((GOLDEN / family / "config.json").read_text())
    model = families.model_config(document, family, n_tokens=document["vocab_size"], how=HOW)
    interleaved = families.is_interleaved(document)
    weights = read.read_weights(GOLDEN / family, model=model, interleaved=interleaved, mesh=None)
    export(tmp_path, weights, model, tiny)
    theirs, ours = safetensors.find(GOLDEN / family), safetensors.find(tmp_path)
    assert len({t.file for t in ours.values()}) > 1  # sharded
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype
        np.testing.assert_array_equal(
            safetensors.read(ours[name]), safetensors.read(tensor), err_msg=name
        )
    copies = {n.rsplit(".", 2)[1] for n in ours.keys() - theirs.keys()}
    more = {"o_proj"} if family == "qwen2" else set()  # as a Llama with biases: see below
    assert copies <= ({"embed_tokens", "head"} if model.mtp else more)
    written = json.loads((tmp_path / "config.json").read_text())
    again = families.model_config(written, family, n_tokens=model.n_tokens, how=HOW)
    assert again == model


def test_our_model_comes_back_with_tokenizer_and_template(nano_base, tmp_path, tiny):
    weights, model, tokenizer = load_model(str(nano_base))
    export(tmp_path, weights, model, tiny, dtype="float32")
    again, same_model, same_tokenizer = open_model(str(tmp_path), how=HOW, mesh=None)
    assert digest(again) == digest(weights)
    assert forward.count_params(same_model) == forward.count_params(model)
    assert same_tokenizer.encode("3 + 4 = 7, 等等") == tokenizer.encode("3 + 4 = 7, 等等")

    def roles(t):
        return (t.bos_id, t.eos_id, t.stop_ids, t.pad_id)

    assert roles(same_tokenizer) == roles(tokenizer)
    chat, plain = (templates.PromptConfig(t, "", ()) for t in ("chat", "plain"))
    prompt = templates.prompt(same_tokenizer, chat, "What is 6 * 7?")
    assert prompt.ids == templates.prompt(tokenizer, plain, "What is 6 * 7?").ids


def test_a_model_with_a_hugging_face_tokenizer_is_kept_as_ours(nano_base, tmp_path, tiny):
    weights, model, _ = load_model(str(nano_base))
    save_model(tmp_path, weights, model=model, tokenizer=tiny, made_by={})
    again, same_model, tokenizer = load_model(str(tmp_path))
    assert (digest(again), same_model) == (digest(weights), model)
    assert isinstance(tokenizer, HfTokenizer) and tokenizer.fingerprint == tiny.fingerprint
    assert tokenizer.chat and tiny.chat and tokenizer.chat.source == tiny.chat.source


def test_how_to_sample_goes_through_saving_and_export(nano_base, tmp_path, tiny):
    sampling = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}
    weights, model, _ = load_model(str(nano_base))
    for name, content in tiny.files().items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **sampling}))
    foreign = HfTokenizer.load(tmp_path)
    save_model(tmp_path / "saved", weights, model=model, tokenizer=foreign, made_by={})
    weights, model, tokenizer = load_model(str(tmp_path / "saved"))
    exported = hugging_face_tokenizer(tokenizer, "plain")
    export(tmp_path / "exported", weights, model, exported)
    written = json.loads((tmp_path / "exported" / "generation_config.json").read_text())
    assert sampling.items() <= written.items()
    assert written["eos_token_id"] == list(tiny.stop_ids)


def test_how_to_sample_is_kept_beside_a_sentencepiece_model(nano_base, tmp_path):
    """A directory of others with tokenizer.model alone, imported and exported."""
    sampling = {"do_sample": True, "temperature": 0.6, "top_p": 0.95}
    weights, model, _ = load_model(str(nano_base))
    (tmp_path / "tokenizer.model").write_bytes((nano_base / "tokenizer.model").read_bytes())
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": 2, **sampling}))
    tokenizer = read_tokenizer(tmp_path)
    save_model(tmp_path / "saved", weights, model=model, tokenizer=tokenizer, made_by={})
    weights, model, tokenizer = load_model(str(tmp_path / "saved"))
    export(tmp_path / "exported", weights, model, hugging_face_tokenizer(tokenizer, "plain"))
    written = json.loads((tmp_path / "exported" / "generation_config.json").read_text())
    assert sampling.items() <= written.items()


@pytest.mark.parametrize(
    ("name", "message"),
    [("gqa_moe", "no architecture of grouped-query"), ("mla_dense", "and no MoE")],
)
def test_what_transformers_lacks_is_refused_before_writing(
    name, message, models, weights, tmp_path, tiny
):
    with pytest.raises(ValueError, match=message):
        export(tmp_path / "new", weights(name), models[name], tiny)
    assert not (tmp_path / "new").exists()


def test_a_bias_that_deepseek_v2_has_no_place_for_is_refused(models, weights, tmp_path, tiny):
    with pytest.raises(ValueError, match="no bias in the choice of experts"):
        export(tmp_path / "new", weights("mla_v2"), models["mla_v2"], tiny)
    assert not (tmp_path / "new").exists()


def qwens_tokenizer() -> HfTokenizer:
    """A small one that works as Qwen2's."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ["<|im_end|>", *letters, "Ġa"]
    vocabulary = GgufVocabulary(
        pre="qwen2",
        tokens=tokens,
        token_type=[3] + [1] * (len(tokens) - 1),
        merges=["Ġ a"],
        scores=[],
        bos=None,
        eos=0,
        turn_end=None,
        padding=None,
        add_bos=False,
        chat_template=None,
        chat_templates={},
        generation={},
    )
    return build(vocabulary)


@pytest.mark.parametrize(("is_qwens", "kind"), [(True, "qwen2"), (False, "llama")])
def test_qwen2_is_written_so_only_with_a_tokenizer_of_qwens(
    is_qwens, kind, models, weights, tmp_path, tiny
):
    """transformers 5 puts Qwen2's tokenizer in the place of any other."""
    model, own = models["gqa_bias"], weights("gqa_bias")
    tokenizer = qwens_tokenizer() if is_qwens else tiny
    export(tmp_path, own, model, tokenizer, dtype="float32")
    document = json.loads((tmp_path / "config.json").read_text())
    assert (document["model_type"], document["attention_bias"]) == (kind, not is_qwens)
    model = dataclasses.replace(model, n_tokens=model.vocab_size)
    read_as = families.model_config(document, "", n_tokens=model.n_tokens, how=HOW)
    assert read_as.attention == model.attention
    tensors = safetensors.find(tmp_path)
    zeros = [safetensors.read(t) for n, t in tensors.items() if n.endswith("o_proj.bias")]
    assert len(zeros) == (0 if is_qwens else model.n_layers) and not np.any(zeros)
    again = read.read_weights(tmp_path, model=model, interleaved=False, mesh=None)
    assert digest(again) == digest(own)


def test_a_bias_of_the_output_that_is_not_zero_is_refused(models, weights, tmp_path, tiny):
    model, own = models["gqa_bias"], weights("gqa_bias")
    export(tmp_path, own, model, tiny, dtype="float32", shard_bytes=10**9)
    tensor = safetensors.find(tmp_path)["model.layers.1.self_attn.o_proj.bias"]
    with tensor.file.open("r+b") as file:
        file.seek(tensor.begin)
        file.write(np.float32(1).tobytes())
    with pytest.raises(ValueError, match=r"layers\.1\.self_attn\.o_proj\.bias is not zero"):
        read.read_weights(tmp_path, model=model, interleaved=False, mesh=None)


def test_a_sentencepiece_model_goes_out_as_converters_read_it(nano_base, tmp_path):
    """llama.cpp's adds a space, and merges <think> from letters, unless it is told."""
    weights, model, tokenizer = load_model(str(nano_base))
    export(tmp_path, weights, model, tokenizer)
    assert (tmp_path / "tokenizer.model").read_bytes() == tokenizer.files()["tokenizer.model"]
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["add_prefix_space"] is False
    added = {t["content"]: t["special"] for t in settings["added_tokens_decoder"].values()}
    assert set(WHOLE) == {text for text, special in added.items() if not special}
    assert added["</s>"] is True
    assert isinstance(open_model(str(tmp_path), how=HOW, mesh=None)[2], HfTokenizer)


def test_defaults_of_sampling_fill_what_the_model_came_without(nano_base, tmp_path, tiny):
    weights, model, _ = load_model(str(nano_base))
    export_model(
        tmp_path,
        weights,
        model=model,
        tokenizer=tiny.with_sampling({"temperature": 0.9}),
        template="chat",
        sampling={"temperature": 0.6, "top_k": 0},
        dtype="float32",
        max_positions=32,
        shard_bytes=10**9,
    )
    written = json.loads((tmp_path / "generation_config.json").read_text())
    assert (written["temperature"], written["top_k"]) == (0.9, 0)


@pytest.mark.parametrize("template", ["r1", "r1_think"])
def test_a_template_whose_marks_the_model_lacks_is_refused(template, nano_base):
    tokenizer = load_model(str(nano_base))[2]
    with pytest.raises(ValueError, match=r"needs the tokens .*User.*, which this model lacks"):
        hugging_face_tokenizer(tokenizer, template)


def test_from_a_mesh_the_same_bytes_are_written(nano_base, tmp_path, tiny):
    weights, model, _ = load_model(str(nano_base))
    export(tmp_path / "one", weights, model, tiny)
    with sharding.use(data=1, expert=2, model=2) as mesh:
        spread, *_ = open_model(str(nano_base), how=HOW, mesh=mesh)
        assert any(len(x.sharding.device_set) == 4 for x in jax.tree.leaves(spread))
        export(tmp_path / "four", spread, model, tiny)
    for path in (tmp_path / "one").iterdir():
        assert (tmp_path / "four" / path.name).read_bytes() == path.read_bytes()


def test_an_earlier_export_leaves_no_template_behind(nano_base, tmp_path):
    weights, model, ours = load_model(str(nano_base))
    for template, has_chat in (("plain", True), ("chat", False)):
        export(tmp_path, weights, model, hugging_face_tokenizer(ours, template))
        assert (HfTokenizer.load(tmp_path).chat is not None) is has_chat


@pytest.mark.parametrize("add_bos", [True, False])
def test_an_exported_template_begins_as_the_model_was_trained(add_bos, tiny, tmp_path):
    """The prompt of our template, whether or not the tokenizer wants BOS before a text."""
    for name, content in tiny.files().items():
        (tmp_path / name).write_bytes(content)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    settings["add_bos_token"] = add_bos
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    trained = HfTokenizer.load(tmp_path)
    assert (trained.bos_id is not None) is add_bos
    styles = [templates.PromptConfig(t, "", ()) for t in ("r1_zero", "chat")]
    exported = hugging_face_tokenizer(trained, "r1_zero")
    ours, theirs = templates.prompt(trained, styles[0], "1+1?"), exported
    assert templates.prompt(theirs, styles[1], "1+1?").ids == ours.ids
