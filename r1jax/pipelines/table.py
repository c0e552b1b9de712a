"""The pipelines by name, each with what others need to know of it.

A config's `pipeline` may be any of these, and so may a stage of a recipe. `main` adds the two that
run or check others.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from r1jax.pipelines import assistant_data, contamination, judge, pretrain
from r1jax.pipelines.assess import run as assess
from r1jax.pipelines.cold_start import run as cold_start
from r1jax.pipelines.convert import export, import_checkpoint
from r1jax.pipelines.distill import config as distill_config
from r1jax.pipelines.distill import run as distill
from r1jax.pipelines.evaluate import run as evaluate
from r1jax.pipelines.generate import run as generate
from r1jax.pipelines.preference import run as preference
from r1jax.pipelines.r1_zero import run as r1_zero
from r1jax.pipelines.reward_model import run as reward_model
from r1jax.pipelines.sample import run as sample
from r1jax.pipelines.sft import run as sft

Kind = Literal["model", "data", "reward model", "exam", "check", "recipe"]


class Pipeline(NamedTuple):
    """What a pipeline is, reads and leaves.

    Attributes:
      config: dataclass of its config.
      run: runs it in a workdir.
      kind: of what it makes: the colour of a stage in the recipe's picture.
      reads: names of config keys, at any depth, that hold paths of files; list them even if a
        value such as "mymodel" has no slash.
      leaves: globs in its workdir of the files that later stages may read. A rerun gives the same
        bytes, so no reports, pictures, checkpoints, or files with times or paths. Rows are counted
        in the first that holds any.
      facts: keys of its summary.json, or "results.KEY", that go into lineage and report, in this
        order; none holds a time, a rate or a path.
      figures: format strings of facts; the first whose facts are there stands for a stage in the
        picture. Without any, the updates or rows do.
    """

    config: type
    run: Callable[[Any, Path], None]
    kind: Kind
    reads: tuple[str, ...]
    leaves: tuple[str, ...]
    facts: tuple[str, ...]
    figures: tuple[str, ...]


PIPELINES = {
    "assess": Pipeline(
        config=assess.AssessConfig,
        run=assess.run,
        kind="exam",
        reads=("model", "path"),
        leaves=("answers.jsonl", "results.json"),
        facts=(
            "tokens",
            "results.columns",
            "results.answers",
            "results.errors",
            "results.truncation",
            "results.mean_length",
        ),
        figures=("reasoning {results[columns][reasoning][mean]:.1%}",),
    ),
    "assistant_data": Pipeline(
        config=assistant_data.AssistantDataConfig,
        run=assistant_data.run,
        kind="data",
        reads=("path",),
        leaves=("rows.jsonl",),
        facts=("counts",),
        figures=(),
    ),
    "cold_start": Pipeline(
        config=cold_start.ColdStartConfig,
        run=cold_start.run,
        kind="data",
        reads=("model", "path"),
        leaves=("sft/*.jsonl", "rewritten.jsonl"),
        facts=("counts",),
        figures=(),
    ),
    "contamination": Pipeline(
        config=contamination.ContaminationConfig,
        run=contamination.run,
        kind="check",
        reads=("path", "training"),
        leaves=("results.json",),
        facts=("counts",),
        figures=(),
    ),
    "distill": Pipeline(
        config=distill_config.DistillConfig,
        run=distill.run,
        kind="model",
        reads=("data", "path", "student", "teacher"),
        leaves=("model/*",),
        facts=(
            "steps",
            "weights_sha256",
            "before",
            "after",
            "divergence",
            "agreement",
            "tokens",
        ),
        figures=("pass@1 {before[pass_at_1][mean]:.0%} → {after[pass_at_1][mean]:.0%}",),
    ),
    "evaluate": Pipeline(
        config=evaluate.EvaluateConfig,
        run=evaluate.run,
        kind="exam",
        reads=("model", "path"),
        leaves=("answers.jsonl", "questions.jsonl", "pass_rates.jsonl", "results.json"),
        facts=(
            "tokens",
            "results.questions",
            "results.samples",
            "results.pass_at_1",
            "results.rates",
            "results.answers",
            "results.errors",
        ),
        figures=("pass@1 {results[pass_at_1][mean]:.1%}",),
    ),
    "export": Pipeline(
        config=export.ExportConfig,
        run=export.run,
        kind="model",
        reads=("model",),
        leaves=("hugging_face/*",),
        facts=("weights_sha256",),
        figures=(),
    ),
    "generate": Pipeline(
        config=generate.GenerateConfig,
        run=generate.run,
        kind="data",
        reads=("input", "model"),
        leaves=("completions.jsonl",),
        facts=("prompts", "completions", "tokens"),
        figures=(),
    ),
    "import_checkpoint": Pipeline(
        config=import_checkpoint.ImportConfig,
        run=import_checkpoint.run,
        kind="model",
        reads=("model",),
        leaves=("model/*",),
        facts=("weights_sha256", "parameters"),
        figures=(),
    ),
    "judge": Pipeline(
        config=judge.JudgeRunConfig,
        run=judge.run,
        kind="data",
        reads=("input",),
        leaves=("judged.jsonl",),
        facts=("by_kind",),
        figures=(),
    ),
    "preference": Pipeline(
        config=preference.PreferenceConfig,
        run=preference.run,
        kind="data",
        reads=("input", "model"),
        leaves=("pairs.jsonl", "labelled.jsonl", "judgements.jsonl"),
        facts=(
            "counts",
            "results.judgements",
            "results.read",
            "results.kept",
            "results.same_winner",
            "results.longer_chosen",
            "results.chosen_is_truly_better",
            "results.safe",
        ),
        figures=(),
    ),
    "pretrain": Pipeline(
        config=pretrain.PretrainConfig,
        run=pretrain.run,
        kind="model",
        reads=(),
        leaves=("model/*",),
        facts=("steps", "weights_sha256", "parameters", "held_out", "tokens"),
        figures=(),
    ),
    "r1_zero": Pipeline(
        config=r1_zero.R1ZeroConfig,
        run=r1_zero.run,
        kind="model",
        reads=("base", "model", "path"),
        leaves=("model/*",),
        facts=("steps", "weights_sha256", "before", "after", "tokens"),
        figures=("pass@1 {before[pass_at_1][mean]:.0%} → {after[pass_at_1][mean]:.0%}",),
    ),
    "reward_model": Pipeline(
        config=reward_model.RewardModelConfig,
        run=reward_model.run,
        kind="reward model",
        reads=("base", "data"),
        leaves=("model/*", "held_out.jsonl"),
        facts=("steps", "weights_sha256", "counts", "before", "after", "tokens"),
        figures=("accuracy {after[accuracy][mean]:.1%}",),
    ),
    "sample": Pipeline(
        config=sample.SampleConfig,
        run=sample.run,
        kind="data",
        reads=("model", "path"),
        leaves=("sft/*.jsonl", "answers.jsonl", "questions.jsonl"),
        facts=("counts", "composition", "tokens"),
        figures=(),
    ),
    "sft": Pipeline(
        config=sft.SftConfig,
        run=sft.run,
        kind="model",
        reads=("base", "path"),
        leaves=("model/*",),
        facts=(
            "steps",
            "weights_sha256",
            "parameters",
            "counts",
            "held_out",
            "exam",
            "tokens",
        ),
        figures=(
            "pass@1 {exam[test][after][pass_at_1][mean]:.1%}",
            "pass@1 {exam[validation][after][pass_at_1][mean]:.1%}",
        ),
    ),
}
