"""The pipelines by name: what a config's `pipeline` may be, and what a stage of a run may be."""

from r1jax.pipelines import (
    assistant_data,
    contamination,
    export,
    import_checkpoint,
    judge,
    pretrain,
)
from r1jax.pipelines.assess import run as assess
from r1jax.pipelines.cold_start import run as cold_start
from r1jax.pipelines.distill import config
from r1jax.pipelines.distill import run as distill
from r1jax.pipelines.evaluate import run as evaluate
from r1jax.pipelines.generate import run as generate
from r1jax.pipelines.preference import run as preference
from r1jax.pipelines.r1_zero import run as r1_zero
from r1jax.pipelines.reward_model import run as reward_model
from r1jax.pipelines.sample import run as sample
from r1jax.pipelines.sft import run as sft

# Those that run or check others of these (r1, lineage) are added in main: a stage is none of them.
PIPELINES = {
    "assess": (assess.AssessConfig, assess.run),
    "assistant_data": (assistant_data.AssistantDataConfig, assistant_data.run),
    "cold_start": (cold_start.ColdStartConfig, cold_start.run),
    "contamination": (contamination.ContaminationConfig, contamination.run),
    "distill": (config.DistillConfig, distill.run),
    "evaluate": (evaluate.EvaluateConfig, evaluate.run),
    "export": (export.ExportConfig, export.run),
    "generate": (generate.GenerateConfig, generate.run),
    "import_checkpoint": (import_checkpoint.ImportConfig, import_checkpoint.run),
    "judge": (judge.JudgeRunConfig, judge.run),
    "preference": (preference.PreferenceConfig, preference.run),
    "pretrain": (pretrain.PretrainConfig, pretrain.run),
    "r1_zero": (r1_zero.R1ZeroConfig, r1_zero.run),
    "reward_model": (reward_model.RewardModelConfig, reward_model.run),
    "sample": (sample.SampleConfig, sample.run),
    "sft": (sft.SftConfig, sft.run),
}
