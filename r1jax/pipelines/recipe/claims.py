"""Claims about models held against their measures, and the results of several seeds in one."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scipy import stats

from r1jax.config import UserError

Columns = Mapping[str, Mapping[str, Mapping[str, Any]] | None]  # model -> measure -> mean, low, ...
Answers = Mapping[str, Mapping[str, Mapping[str, float]]]  # model -> measure -> question -> mean

ROUNDING = 1e-9  # intervals that are narrower have no width
HOLDS, FAILS, NOISE, UNKNOWN = "holds", "does not hold", "within noise", "not measured"


def _names(side: str) -> tuple[str, str]:
    """The model and the measure that "model.measure" names."""
    model, _, measure = side.rpartition(".")
    return model, measure


def _side(columns: Columns, side: str) -> Mapping[str, Any] | None:
    """The measure that a side names; None where it was not measured."""
    model, measure = _names(side)
    score = (columns.get(model) or {}).get(measure)
    return None if score is None or score["mean"] is None else score


def standard_error(score: Mapping[str, Any], z: float) -> float | None:
    """Returns the standard error that an interval implies, None without one.

    The wider side counts: the other may be cut off at 0 or 1, or be of no width where all questions
    were answered alike.
    """
    if score.get("low") is None or score.get("high") is None:
        return None
    return max(score["high"] - score["mean"], score["mean"] - score["low"]) / z


def verdict(relation: str, margin: float, reach: float | None) -> str:
    """Returns whether left - (factor * right + offset) REL 0 holds beyond its doubt.

    "holds" or "does not hold" where the whole interval margin +- reach says so, else "within
    noise"; also without an interval.
    """
    if reach is None:
        return NOISE
    ahead = -margin if relation == "<=" else margin  # positive where the claim is true
    if ahead - reach > 0 or (ahead - reach == 0 and relation != ">"):
        return HOLDS
    fails = ahead + reach < 0 or (ahead + reach == 0 and relation == ">")
    return FAILS if fails else NOISE


def _paired(answers: Answers, claim: Mapping[str, Any], level: float) -> float | None:
    """The reach of the margin's interval over questions that both models answered; None unless
    they answered the same ones and the margin differs between these."""
    names = (_names(claim[side]) for side in ("left", "right"))
    left, right = (answers.get(model, {}).get(measure, {}) for model, measure in names)
    if len(left) < 2 or left.keys() != right.keys():
        return None
    margin = over([value - claim["factor"] * right[q] for q, value in left.items()], level=level)
    return margin["high"] - margin["mean"] if margin["high"] - margin["low"] > ROUNDING else None


def _independent(
    sides: Sequence[Mapping[str, Any]], claim: Mapping[str, Any], level: float
) -> float | None:
    """The reach of the margin's interval from those of its sides; None if one has none."""
    z = float(stats.norm.ppf((1 + level) / 2))
    errors = [standard_error(score, z) for score in sides]
    known = [e for e in errors if e is not None]
    weights = (1.0, claim["factor"])
    reach = z * math.hypot(*(w * e for w, e in zip(weights, known, strict=False)))
    return reach if len(known) == len(errors) else None


def judge_claim(
    columns: Columns, answers: Answers, claim: Mapping[str, Any], *, level: float
) -> dict[str, Any]:
    """Returns a claim with its two sides, its margin and what they say of it.

    The interval of the margin left - (factor * right + offset) is Student's t over its differences
    question by question, where both models answered the same questions: they rise and fall
    together. Else it is a normal one from the two intervals, taken as independent.

    Args:
      columns: measures of each model.
      answers: the same, question by question, of those for which that is known.
      claim: name, statement, left, right, relation, factor, offset.
      level: nominal coverage of the intervals, and of the margin's.

    Returns:
      The claim with left_told and right_told (mean, low, high or None), margin, low, high, whether
      it is paired, and verdict.
    """
    sides = {
        "left_told": _side(columns, claim["left"]),
        "right_told": _side(columns, claim["right"]) if claim["right"] else None,
    }
    blank = {"margin": None, "low": None, "high": None, "paired": False, "verdict": UNKNOWN}
    left, right = sides.values()
    if left is None or (claim["right"] and right is None):
        return {**claim, **sides, **blank}
    margin = left["mean"] - claim["offset"] - claim["factor"] * (right["mean"] if right else 0.0)
    paired = _paired(answers, claim, level)
    scores = [score for score in (left, right) if score is not None]
    reach = _independent(scores, claim, level) if paired is None else paired
    low, high = (None, None) if reach is None else (margin - reach, margin + reach)
    return {
        **claim,
        **sides,
        "margin": margin,
        "low": low,
        "high": high,
        "paired": paired is not None,
        "verdict": verdict(claim["relation"], margin, reach),
    }


def results(
    columns: Columns, answers: Answers, claims: Sequence[Mapping[str, Any]], *, level: float
) -> dict[str, Any]:
    """Returns what results.json of a run of stages holds: the measures of the models, the claims
    judged as `judge_claim` does, and the level of all intervals."""
    judged = [judge_claim(columns, answers, claim, level=level) for claim in claims]
    return {"level": level, "models": dict(columns), "claims": judged}


def over(values: Sequence[float], *, level: float) -> dict[str, Any]:
    """Returns mean and Student's t interval of n values; no interval of one."""
    n, mean = len(values), math.fsum(values) / len(values)
    if n < 2:
        return {"mean": mean, "low": None, "high": None, "n": n}
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    reach = float(stats.t.ppf((1 + level) / 2, n - 1)) * spread / math.sqrt(n)
    return {"mean": mean, "low": mean - reach, "high": mean + reach, "n": n}


def over_seeds(values: Sequence[float], *, level: float) -> dict[str, Any]:
    """Returns `over` of one number a seed, with these."""
    return {**over(values, level=level), "seeds": list(values)}


def _without_verdict(claim: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "statement", "left", "right", "relation", "factor", "offset")
    return {name: claim[name] for name in names}


def _of_claim(runs: Sequence[Mapping[str, Any]], number: int, level: float) -> dict[str, Any]:
    """One claim of all runs, its margin averaged over them."""
    judged = [run["claims"][number] for run in runs]
    known = [claim["margin"] for claim in judged if claim["margin"] is not None]
    verdicts = {"seed_verdicts": [claim["verdict"] for claim in judged]}
    claim = {**_without_verdict(judged[0]), **verdicts}
    if len(known) < len(judged):
        return {**claim, "margin": None, "low": None, "high": None, "verdict": UNKNOWN}
    margin = over_seeds(known, level=level)
    reach = None if margin["high"] is None else margin["high"] - margin["mean"]
    return {
        **claim,
        "margin": margin["mean"],
        "low": margin["low"],
        "high": margin["high"],
        "seeds": margin["seeds"],
        "verdict": verdict(claim["relation"], margin["mean"], reach),
    }


def _compared(run: Mapping[str, Any]) -> dict[str, Any]:
    """What all runs of an aggregate have to share."""
    claims = [_without_verdict(claim) for claim in run["claims"]]
    return {"level": run["level"], "models": list(run["models"]), "claims": claims}


def aggregate(workdirs: Sequence[str | Path], *, level: float) -> dict[str, Any]:
    """Merges the results.json of the same run of stages with several seeds.

    A claim's margin is taken within each seed, then averaged: what seeds share falls out.

    Args:
      workdirs: of runs that differ in their seed.
      level: nominal coverage of the intervals: Student's t over seeds.

    Returns:
      As `results`, each measure with n seeds and their values in "seeds", each claim with what each
      seed says by its own interval over questions in "seed_verdicts"; and the seeds. A model or
      measure that a run lacks is averaged over those that have it, and n says so.

    Raises:
      UserError: if there is no run, two have one seed, or their models, their claims or the levels
        of their intervals differ.
    """
    paths = [Path(workdir) / "results.json" for workdir in workdirs]
    runs = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    if not runs:
        raise UserError("aggregate: got no run, wanted at least one")
    seeds = [run["seed"] for run in runs]
    if len(set(seeds)) < len(seeds):
        raise UserError(f"aggregate: got seeds {seeds}, wanted different ones")
    wanted = _compared(runs[0])
    for path, run in zip(workdirs, runs, strict=True):
        for what, got in _compared(run).items():
            if got != wanted[what]:
                raise UserError(f"aggregate: {path}: got {what} {got}, wanted {wanted[what]}")
    models: dict[str, dict[str, Any] | None] = {}
    for model in runs[0]["models"]:
        scores = [run["models"][model] for run in runs if run["models"][model]]
        measures = dict.fromkeys(measure for score in scores for measure in score)
        values = {
            m: [s[m]["mean"] for s in scores if m in s and s[m]["mean"] is not None]
            for m in measures
        }
        merged = {m: over_seeds(v, level=level) for m, v in values.items() if v}
        models[model] = merged or None
    claims = [_of_claim(runs, number, level) for number in range(len(runs[0]["claims"]))]
    return {"level": level, "seeds": seeds, "models": models, "claims": claims}
