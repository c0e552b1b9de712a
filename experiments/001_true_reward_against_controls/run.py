"""Runs configs/r1_zero_tiny.py and its two control arms over seeds, then compares them.

python experiments/001_true_reward_against_controls/run.py --workdir=runs/001 \\
    --seeds=5 --control_seeds=3
"""

import json
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from absl import app, flags

from r1jax.config import flatten
from r1jax.io.metrics import read_jsonl

HERE = Path(__file__).parent
ARMS = {  # config, colour (Okabe-Ito)
    "accuracy + format": ("configs/r1_zero_tiny.py", "#0072B2"),
    "format only": ("configs/r1_zero_format_only_tiny.py", "#E69F00"),
    "random": ("configs/r1_zero_random_tiny.py", "#999999"),
}
KEPT = {  # path in an exam's row, by its name in results.json here
    "pass_at_1": "pass_at_1.mean",
    "pass_at_1_low": "pass_at_1.low",
    "pass_at_1_high": "pass_at_1.high",
    "cons_at_16": "cons_at.16.mean",
    "format_rate": "rates.format",
    "mean_length": "lengths.all.mean",
    "mean_length_correct": "lengths.right.mean",
    "mean_length_wrong": "lengths.wrong.mean",
    "truncation_rate": "rates.truncation",
    "reflective_rate": "rates.reflective",
}

_WORKDIR = flags.DEFINE_string("workdir", None, "Where the runs are kept.", required=True)
_SEEDS = flags.DEFINE_integer("seeds", None, "Seeds of the true reward.", required=True)
_CONTROLS = flags.DEFINE_integer("control_seeds", None, "Seeds of each control.", required=True)


def train(arm: str, seed: int, workdir: Path) -> dict:
    """One run as a process of its own; a finished or interrupted one is taken up again."""
    where = workdir / f"{arm.replace(' ', '_')}_{seed}"
    config = ARMS[arm][0]
    command = [
        sys.executable,
        "-m",
        "r1jax.main",
        f"--config={config}",
        f"--workdir={where}",
        f"--config.seed={seed}",
    ]
    if not (where / "summary.json").exists():
        where.mkdir(parents=True, exist_ok=True)
        with (where / "log.txt").open("a") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log)
    summary = json.loads((where / "summary.json").read_text())
    curve = [
        {
            "update": r["update"],
            "pass_at_1": r["pass_at_1"]["mean"],
            "mean_length": r["lengths"]["all"]["mean"],
        }
        for r in read_jsonl(where / "eval.jsonl")
        if r["split"] == "validation"
    ]
    phases = summary["seconds"]
    return {
        "arm": arm,
        "seed": seed,
        "curve": curve,
        "max_logp_gap": summary["max_logp_gap"],
        **{when: _kept(summary[when]) for when in ("before", "after")},
        "rl_seconds": sum(phases[p] for p in ("sample", "reward", "logprobs", "update")),
        "weights_sha256": summary["weights_sha256"],
    }


def _kept(exam: dict) -> dict:
    """The numbers of an exam that results.json keeps, under its names."""
    numbers, strata = flatten(exam), exam["by_stratum"]
    kept = {name: numbers.get(path) for name, path in KEPT.items()}
    return {**kept, "by_stratum": {name: row["mean"] for name, row in strata.items()}}


def plot(results: list[dict], path: Path) -> None:
    """pass@1 and mean length: the validation curve of every run, and test before and after."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    for row in results:
        colour = ARMS[row["arm"]][1]
        last = row["curve"][-1]["update"]
        for axis, key in zip(axes, ("pass_at_1", "mean_length"), strict=True):
            label = row["arm"] if row["seed"] == 0 else None
            points = [(p["update"], p[key]) for p in row["curve"]]
            axis.plot(*zip(*points, strict=True), color=colour, label=label, marker=".", alpha=0.85)
            ends = [row["before"][key], row["after"][key]]
            test = "test, before and after" if label and row["arm"] == next(iter(ARMS)) else None
            axis.plot([0, last], ends, "x", color=colour, label=test)
    for axis, name in zip(axes, ("pass@1, held-out", "mean length (tokens)"), strict=True):
        axis.set(xlabel="updates", ylabel=name)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(0, 1)
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=130)


def main(argv: list[str]) -> None:
    del argv
    workdir = Path(_WORKDIR.value)
    wanted = [
        (arm, s)
        for arm in ARMS
        for s in range(_SEEDS.value if arm == next(iter(ARMS)) else _CONTROLS.value)
    ]
    results = []
    for arm, seed in wanted:
        results.append(train(arm, seed, workdir))
        r = results[-1]
        b, a = r["before"], r["after"]
        print(
            f"{arm:18s} seed {seed}: pass@1 {b['pass_at_1']:.3f} -> {a['pass_at_1']:.3f}, "
            f"length {b['mean_length']:.1f} -> {a['mean_length']:.1f}, "
            f"format {a['format_rate']:.3f}, {r['rl_seconds']:.0f} s of RL",
            flush=True,
        )
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    plot(results, HERE / "figure.png")


if __name__ == "__main__":
    app.run(main)
