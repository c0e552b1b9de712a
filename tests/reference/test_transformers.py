"""What we export, transformers reads: the same logits, ids and prompts. Run with: make reference"""

import json
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.data.world import sums
from r1jax.hub import families, read
from r1jax.hub.artifacts import load_model
from r1jax.hub.write import export_model
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig
from r1jax.text import templates

pytestmark = [pytest.mark.reference, pytest.mark.filterwarnings("default")]
GOLDEN = Path(__file__).parent.parent / "golden/hugging_face"
FAMILIES = sorted(p.name for p in GOLDEN.iterdir() if p.is_dir())
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
def exported(tmp_path_factory):
    """Our export of the shipped model, and the model itself."""
    directory = tmp_path_factory.mktemp("exported")
    weights, model, tokenizer = load_model("package:tiny_base")
    export(directory, weights, model, tokenizer)
    return directory, weights, model, tokenizer


def export(directory, weights, model, tokenizer):
    export_model(
        directory,
        weights,
        model=model,
        tokenizer=tokenizer,
        template="plain",
        sampling={},
        dtype="float32",
        max_positions=32,
        shard_bytes=50_000,
    )


def theirs(directory, ids) -> np.ndarray:
    """Logits of transformers."""
    import torch
    import transformers

    model, told = transformers.AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True
    )
    assert not told["missing_keys"] and not told["mismatched_keys"]
    with torch.no_grad():
        return model.eval()(torch.from_numpy(np.asarray(ids, np.int64))).logits.numpy()


def ours(weights, ids, model) -> np.ndarray:
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
    return np.asarray(forward.logits(out.hidden_BTD, weights, config=model))


@pytest.mark.parametrize("family", FAMILIES)
def test_transformers_computes_our_logits_from_our_export(family, exported, tmp_path):
    document = json.loads((GOLDEN / family / "config.json").read_text())
    model = families.model_config(document, family, n_tokens=document["vocab_size"], how=HOW)
    interleaved = families.is_interleaved(document)
    weights = read.read_weights(GOLDEN / family, model=model, interleaved=interleaved, mesh=None)
    export(tmp_path, weights, model, exported[3])
    expected = np.load(GOLDEN / family / "expected.npz")
    got = theirs(tmp_path, expected["ids"])
    np.testing.assert_allclose(got, expected["logits"], atol=1e-4)
    np.testing.assert_allclose(got, ours(weights, expected["ids"], model), atol=1e-4)


def test_the_shipped_model_too(exported):
    directory, weights, model, tokenizer = exported
    ids = np.array([[tokenizer.bos_id, *tokenizer.encode("What is 12 + 30 - 7?")]], np.int32)
    np.testing.assert_allclose(theirs(directory, ids), ours(weights, ids, model), atol=1e-4)


def test_its_tokenizer_and_template_give_our_ids_and_prompts(exported):
    import transformers

    directory, _, _, tokenizer = exported
    auto = transformers.AutoTokenizer.from_pretrained(directory)
    plain = templates.PromptConfig("plain", "", ())
    source = sums.WorldSource("train", size=200, seed=0, search_share=0.2)
    for index in range(200):
        question = source[index].question
        wanted = templates.prompt(tokenizer, plain, question)
        assert auto(question, add_special_tokens=False)["input_ids"] == tokenizer.encode(question)
        assert auto(wanted.text)["input_ids"] == wanted.ids  # BOS is put before a text
        chat = auto.apply_chat_template(
            [{"role": "user", "content": question}], add_generation_prompt=True, tokenize=True
        )
        assert list(chat["input_ids"]) == wanted.ids
        assert auto.decode(wanted.ids, skip_special_tokens=True) == wanted.text
    assert (auto.eos_token_id, auto.pad_token_id) == (tokenizer.eos_id, tokenizer.pad_id)
