import json

import numpy as np
import pytest
from scipy import stats

from r1jax.pipelines.recipe import claims, report

Z = float(stats.norm.ppf(0.975))


def score(mean, half=0.05):
    return {"mean": mean, "low": mean - half, "high": mean + half, "n": 100}


def claim(left, relation, right, factor=1.0, offset=0.0):
    words = {"name": "c", "statement": "s", "left": left, "right": right, "relation": relation}
    return {**words, "factor": factor, "offset": offset}


def judged(columns, *args, **more):
    return claims.judge_claim(columns, {}, claim(*args, **more), level=0.95)


COLUMNS = {"R1": {"reasoning": score(0.8)}, "Dev 3.1": {"reasoning": score(0.5)}, "None": None}


@pytest.mark.parametrize(
    ("relation", "right", "factor", "offset", "wanted"),
    [
        (">=", "Dev 3.1.reasoning", 1.0, 0.0, "holds"),
        (">", "Dev 3.1.reasoning", 1.0, 0.0, "holds"),
        ("<=", "Dev 3.1.reasoning", 1.0, 0.0, "does not hold"),
        (">=", "Dev 3.1.reasoning", 1.0, 0.31, "within noise"),
        (">=", "Dev 3.1.reasoning", 1.5, 0.0, "within noise"),  # 0.05 ahead of 0.75
        (">=", "Dev 3.1.reasoning", 2.0, 0.0, "does not hold"),
        ("<=", "", 1.0, 0.9, "holds"),
        (">=", "", 1.0, 0.9, "does not hold"),
        (">=", "", 1.0, 0.78, "within noise"),
        (">=", "None.reasoning", 1.0, 0.0, "not measured"),
        (">=", "R1.safety", 1.0, 0.0, "not measured"),
    ],
)
def test_a_claim_holds_only_where_its_interval_says_so(relation, right, factor, offset, wanted):
    got = judged(COLUMNS, "R1.reasoning", relation, right, factor=factor, offset=offset)
    assert got["verdict"] == wanted


def test_an_unpaired_margin_is_a_difference_of_normal_means():
    got = judged(COLUMNS, "R1.reasoning", ">=", "Dev 3.1.reasoning", factor=0.5, offset=0.1)
    error = np.hypot(0.05 / Z, 0.5 * 0.05 / Z)
    assert got["margin"] == pytest.approx(0.8 - 0.25 - 0.1)
    wanted = [got["margin"] - Z * error, got["margin"] + Z * error]
    np.testing.assert_allclose([got["low"], got["high"]], wanted, rtol=1e-12)


def test_models_of_the_same_questions_are_compared_in_pairs():
    columns = {"A": {"x": score(0.55, 0.4)}, "B": {"x": score(0.5, 0.4)}}
    ours, theirs = {"p": 0.15, "q": 0.56, "r": 0.94}, {"r": 0.9, "q": 0.5, "p": 0.1}

    def judged_with(theirs, factor=1.0):
        answers = {"A": {"x": ours}, "B": {"x": theirs}}
        return claims.judge_claim(columns, answers, claim("A.x", ">", "B.x", factor), level=0.95)

    without = claims.judge_claim(columns, {}, claim("A.x", ">", "B.x"), level=0.95)
    assert without["verdict"] == "within noise" and not without["paired"]
    got = judged_with(theirs)
    assert got["verdict"] == "holds" and got["paired"]
    low, high = stats.t.interval(0.95, 2, 0.05, stats.sem([0.05, 0.06, 0.04]))
    np.testing.assert_allclose([got["low"], got["high"]], [low, high], rtol=1e-9)
    got = judged_with(theirs, factor=0.5)
    reach = stats.t.ppf(0.975, 2) * stats.sem([0.1, 0.31, 0.49])
    assert got["high"] - got["margin"] == pytest.approx(reach)
    for others in ({"p": 0.1, "q": 0.5}, {"p": 0.1, "q": 0.5, "other": 0.9}):
        assert not judged_with(others)["paired"]
    # differences that are all equal tell no spread
    assert not judged_with({q: value - 0.05 for q, value in ours.items()})["paired"]


def test_a_cut_interval_counts_with_its_wider_side():
    cut = {"mean": 1.0, "low": 0.9, "high": 1.0, "n": 9}
    assert claims.standard_error(cut, Z) == pytest.approx(0.1 / Z)


def test_without_an_interval_nothing_is_told_from_noise():
    bare = {"A": {"x": {"mean": 0.9, "low": None, "high": None}}}
    assert judged(bare, "A.x", ">=", "", offset=0.1)["verdict"] == "within noise"


def test_only_the_strict_relation_needs_more_than_equality():
    sure = {"A": {"x": score(0.5, 0.0)}}
    verdicts = [judged(sure, "A.x", r, "", offset=0.5)["verdict"] for r in (">=", "<=", ">")]
    assert verdicts == ["holds", "holds", "does not hold"]


def left_by(tmp_path, seed, values, models=("A", "B")):
    columns = {m: {"x": score(v)} for m, v in zip(models, values, strict=True)}
    known = claims.results(columns, {}, [claim("A.x", ">=", "B.x")], level=0.95)
    folder = tmp_path / f"{seed}-{len(values)}-{models[0]}"
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"seed": seed, **known}))
    return folder


def test_seeds_are_merged_with_students_t_over_their_means(tmp_path):
    pairs = [(0.6, 0.5), (0.3, 0.21), (0.9, 0.79)]
    runs = [left_by(tmp_path, seed, pair) for seed, pair in enumerate(pairs)]
    got = claims.aggregate(runs, level=0.9)
    values = [0.6, 0.3, 0.9]
    low, high = stats.t.interval(0.9, 2, np.mean(values), stats.sem(values))
    a = got["models"]["A"]["x"]
    np.testing.assert_allclose([a["mean"], a["low"], a["high"]], [0.6, low, high], rtol=1e-12)
    assert a["n"] == 3 and a["seeds"] == values and got["seeds"] == [0, 1, 2]
    # the seeds move both models together: the difference is far surer than either
    (c,) = got["claims"]
    assert c["verdict"] == "holds" and c["margin"] == pytest.approx(0.1) and c["low"] > 0.08
    assert "| x | 0.600 [" in report.stage_table(got)
    table = report.claims_table(got)
    assert "+0.100 [" in table and "| seed by seed |" in table
    assert c["seed_verdicts"] == ["holds"] * 3 and "| 3 holds |" in table


def test_one_seed_has_no_interval(tmp_path):
    got = claims.aggregate([left_by(tmp_path, 0, (0.6, 0.5))], level=0.95)
    assert got["models"]["A"]["x"]["low"] is None
    assert got["claims"][0]["verdict"] == "within noise"


def test_runs_that_are_not_seeds_of_one_another_are_refused(tmp_path):
    one = left_by(tmp_path, 0, (0.6, 0.5))
    with pytest.raises(ValueError, match=r"seeds \[0, 0\]"):
        claims.aggregate([one, one], level=0.95)
    other = left_by(tmp_path, 1, (0.6, 0.5), models=("C", "B"))
    with pytest.raises(ValueError, match=r"got models \['C', 'B'\], wanted \['A', 'B'\]"):
        claims.aggregate([one, other], level=0.95)
    other = left_by(tmp_path, 1, (0.6, 0.5))
    results = json.loads((other / "results.json").read_text())
    for change in ({"offset": 0.5}, {"left": "A.y"}):
        changed = [{**results["claims"][0], **change}]
        (other / "results.json").write_text(json.dumps({**results, "claims": changed}))
        with pytest.raises(ValueError, match=rf"got claims .*{next(iter(change))}"):
            claims.aggregate([one, other], level=0.95)
    (other / "results.json").write_text(json.dumps({**results, "level": 0.5}))
    with pytest.raises(ValueError, match=r"got level 0.5, wanted 0\.\d"):
        claims.aggregate([one, other], level=0.95)
    with pytest.raises(ValueError, match="got no run"):
        claims.aggregate([], level=0.95)
