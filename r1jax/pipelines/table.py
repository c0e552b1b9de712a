"""The pipelines by name: what a config's `pipeline` may be, and what a stage of a run may be."""

from r1jax.pipelines import (
    assess,
    assistant_data,
    cold_start,
    contamination,
    distill,
    distill_config,
    evaluate,
    export,
    generate,
    import_checkpoint,
    judge,
    preference,
    pretrain,
    r1_zero,
    reward_model,
    sample,
    sft,
)

# Those that run or check others of these (r1, lineage) are added in main: a stage is none of them.
PIPELINES = {
    "assess": (assess.AssessConfig, assess.run),
    "assistant_data": (assistant_data.AssistantDataConfig, assistant_data.run),
    "cold_start": (cold_start.ColdStartConfig, cold_start.run),
    "contamination": (contamination.ContaminationConfig, contamination.run),
    "distill": (distill_config.DistillConfig, distill.run),
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
