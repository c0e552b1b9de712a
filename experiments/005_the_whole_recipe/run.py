"""Runs configs/r1_tiny.py over seeds, then merges their tables and draws what the stages did.

python experiments/005_the_whole_recipe/run.py --workdir=runs/005 --seeds=3
"""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from absl import app, flags

from r1jax.io.metrics import read_jsonl
from r1jax.pipelines.recipe.claims import aggregate
from r1jax.pipelines.recipe.report import claims_table, stage_table

HERE = Path(__file__).parent
ARMS = {  # RL 1 with and without the language reward, colours of Okabe and Ito
    "dev2": ("with the language reward", "#0072B2"),
    "dev2_without_language": ("without", "#D55E00"),
}
CURVES = {"language": "share of the question's language", "accuracy": "accuracy"}
WINDOW = 5  # updates that a point of the curves averages

_WORKDIR = flags.DEFINE_string("workdir", None, "Where the runs are kept.", required=True)
_SEEDS = flags.DEFINE_integer("seeds", None, "How many, from 0.", required=True)


def run(seed: int, workdir: Path) -> Path:
    """One run as a process of its own; a finished or interrupted one is taken up again."""
    where = workdir / str(seed)
    where.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "r1jax.main",
        "--config=configs/r1_tiny.py",
        f"--workdir={where}",
        f"--config.seed={seed}",
    ]
    with (where / "log.txt").open("a") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log)
    return where


def smoothed(values: list[float]) -> list[float]:
    return [
        sum(values[max(0, i - WINDOW + 1) : i + 1]) / min(WINDOW, i + 1) for i in range(len(values))
    ]


def plot(places: list[Path], path: Path) -> None:
    """What the language reward does during the first RL stage, a line a seed."""
    figure, axes = plt.subplots(1, len(CURVES), figsize=(11, 3.6), constrained_layout=True)
    for stage, (name, colour) in ARMS.items():
        for number, place in enumerate(places):
            rows = read_jsonl(place / "stages" / stage / "metrics.jsonl")
            for axis, metric in zip(axes, CURVES, strict=True):
                axis.plot(
                    [row["update"] for row in rows],
                    smoothed([row[metric] for row in rows]),
                    color=colour,
                    alpha=0.85,
                    label=None if number else name,
                )
    for axis, name in zip(axes, CURVES.values(), strict=True):
        axis.set(xlabel="updates", ylabel=name, ylim=(0, 1.02))
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axhline(0.95, color="#999999", linewidth=0.8)
    axes[0].axhline(0.85, color="#999999", linewidth=0.8)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=130)


def tokens(place: Path) -> dict[str, int]:
    """Sampled tokens by stage: the student by RL is to have as many as its teacher's data cost."""
    summaries = {
        name: json.loads((place / "stages" / name / "summary.json").read_text())
        for name in ("rejection", "student_rl")
    }
    return {name: summary["tokens"]["sampled"] for name, summary in summaries.items()}


def main(argv: list[str]) -> None:
    del argv
    places = [run(seed, Path(_WORKDIR.value)) for seed in range(_SEEDS.value)]
    told = aggregate(places, level=0.95)
    seconds = [json.loads((p / "summary.json").read_text())["seconds"] for p in places]
    told["minutes"] = [round(sum(by_stage.values()) / 60, 1) for by_stage in seconds]
    told["tokens_sampled"] = [tokens(place) for place in places]
    (HERE / "results.json").write_text(json.dumps(told, indent=1) + "\n")
    plot(places, HERE / "figure.png")
    print(f"{stage_table(told)}\n\n{claims_table(told)}")
    print(f"minutes: {told['minutes']}; sampled tokens: {told['tokens_sampled']}")


if __name__ == "__main__":
    app.run(main)
