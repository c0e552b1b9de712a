"""Makes the checkpoints and logits in this folder with transformers, the reference.

Run in an environment with torch and transformers: python tests/golden/hugging_face/make.py
Made with transformers 5.23.0, torch 2.13.0 on a CPU.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.modeling_layers import MtpLayer
from transformers.models.deepseek_v3 import modeling_deepseek_v3 as deepseek

HERE = Path(__file__).parent
YARN = {
    "rope_type": "yarn",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "beta_fast": 4.0,
    "beta_slow": 1.0,
    "original_max_position_embeddings": 8,
    "mscale": 1.0,
    "mscale_all_dim": 0.707,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 10000.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}
COMMON = {
    "vocab_size": 72,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6,
}
LATENT = {
    "num_key_value_heads": 4,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 8,
    "v_head_dim": 12,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 16,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "rope_parameters": YARN,
}
CONFIGS = {
    "deepseek_v3": transformers.DeepseekV3Config(
        **COMMON,
        **LATENT,
        q_lora_rank=12,
        n_group=4,
        topk_group=2,
        n_shared_experts=1,
        routed_scaling_factor=2.5,
        norm_topk_prob=True,
    ),
    "deepseek_v2": transformers.DeepseekV2Config(
        **COMMON,
        **LATENT,
        q_lora_rank=None,
        n_group=4,
        topk_group=2,
        n_shared_experts=2,
        routed_scaling_factor=1.5,
        topk_method="group_limited_greedy",
        norm_topk_prob=False,
    ),
    "llama": transformers.LlamaConfig(
        **COMMON, num_key_value_heads=2, rope_parameters=LLAMA3, tie_word_embeddings=False
    ),
    "smollm2": transformers.LlamaConfig(
        **{**COMMON, "num_attention_heads": 3, "hidden_size": 24, "rms_norm_eps": 1e-5},
        num_key_value_heads=1,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100000.0},
    ),
    "qwen2": transformers.Qwen2Config(**COMMON, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen3": transformers.Qwen3Config(
        **COMMON, num_key_value_heads=2, head_dim=12, tie_word_embeddings=False
    ),
}


def scramble(module: torch.nn.Module) -> None:
    """Random numbers that bfloat16 holds exactly; none is trivial: norms not 1, biases not 0."""
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if "inv_freq" in name:
                continue
            centre = 1.0 if "norm" in name else 0.0
            scale = 0.05 if "correction_bias" in name else 0.2
            tensor.copy_((centre + scale * torch.randn_like(tensor)).to(torch.bfloat16).float())


def narrow(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """bfloat16, exact here, but for the router's bias."""
    return {
        n: (t if "correction_bias" in n else t.to(torch.bfloat16)).contiguous()
        for n, t in tensors.items()
    }


def add_mtp(folder: Path, model: torch.nn.Module, ids: torch.Tensor) -> np.ndarray:
    """Puts an MTP module's tensors beside the model's; returns its logits."""
    config, n = model.config, model.config.num_hidden_layers
    module = MtpLayer(config, deepseek.DeepseekV3DecoderLayer, deepseek.DeepseekV3RMSNorm, n)
    scramble(module)
    tensors, width = {}, config.moe_intermediate_size
    for name, t in module.eval().state_dict().items():
        name = name.replace("post_norm", "shared_head.norm").removeprefix("mtp_block.")
        if name == "mlp.experts.gate_up_proj":
            for e in range(config.n_routed_experts):
                tensors[f"mlp.experts.{e}.gate_proj.weight"] = t[e, :width]
                tensors[f"mlp.experts.{e}.up_proj.weight"] = t[e, width:]
        elif name == "mlp.experts.down_proj":
            tensors |= {f"mlp.experts.{e}.down_proj.weight": t[e] for e in range(len(t))}
        else:
            tensors[name] = t
    tensors = {f"model.layers.{n}.{name}": t for name, t in tensors.items()}
    save_file(narrow(tensors), folder / "mtp.safetensors", metadata={"format": "pt"})
    path = folder / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"] |= dict.fromkeys(tensors, "mtp.safetensors")
    path.write_text(json.dumps(index, indent=1) + "\n")
    with torch.no_grad():
        hidden = model.model(ids).last_hidden_state[:, :-1]
        positions = torch.arange(hidden.shape[1])[None]
        mask = torch.full((hidden.shape[1],) * 2, float("-inf")).triu(1)[None, None]
        out = module(
            model.model.embed_tokens(ids[:, 1:]),
            hidden,
            model.model.rotary_emb(hidden, positions),
            mask,
            positions,
            None,
        )
        return model.lm_head(out).numpy()


def make(name: str, config: transformers.PretrainedConfig) -> None:
    torch.manual_seed(0)
    kind = {"dtype": torch.float32, "attn_implementation": "eager"}
    model = transformers.AutoModelForCausalLM.from_config(config, **kind)
    scramble(model)
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder, max_shard_size="60KB")
    for path in folder.glob("*.safetensors"):
        save_file(narrow(load_file(path)), path, metadata={"format": "pt"})
    again = transformers.AutoModelForCausalLM.from_pretrained(folder, **kind).eval()
    ids = torch.from_numpy(np.random.default_rng(0).integers(0, config.vocab_size, (2, 24)))
    with torch.no_grad():
        expected = {"ids": ids.numpy().astype(np.int32), "logits": again(ids).logits.numpy()}
    if name == "deepseek_v3":
        expected["mtp_logits"] = add_mtp(folder, again, ids)
    np.savez_compressed(folder / "expected.npz", **expected)
    (folder / "generation_config.json").unlink(missing_ok=True)


if __name__ == "__main__":
    for name, config in CONFIGS.items():
        make(name, config)
