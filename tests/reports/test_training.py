from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from r1jax.io.metrics import MetricsWriter
from r1jax.reports import panels
from r1jax.reports.curves import plot_pretrain, plot_rl
from r1jax.reports.panels import (
    COLOURS,
    LINEAR,
    LOG,
    Line,
    Panel,
    bands,
    lines,
    save_grid,
    series,
    smooth,
    stack,
)
from r1jax.reports.training import write_report

SAMPLE = {"prompt": "一加二?", "completion": "```\n3\n```", "score": 1.0, "reason": "3 | 3"}


def small_run(workdir: Path) -> None:
    with MetricsWriter(workdir, resume_from=None, written={}) as writer:
        for update in (1, 2, 3):
            writer.write(
                update, {"reward": update / 3, "loss": 4 - update, "length_wrong": float("nan")}
            )
            writer.write_timing(update, {"seconds_sample": 2.0, "tokens_sampled": 1000})
        for update, score in ((0, 0.125), (3, 0.75)):
            strata = {"2-digit": {"mean": score}, "3-digit": {"mean": None}}
            writer.write_eval(
                update,
                {
                    "split": "test",
                    "pass_at_1": {"mean": score, "low": score - 0.1, "high": score + 0.1},
                    "cons_at": {"8": {"mean": score}},
                    "lengths": {"all": {"mean": 9}},
                    "by_stratum": strata,
                },
            )
        writer.write_eval(3, {"split": "ood", "pass_at_1": {"mean": 0.5}})


def axes():
    return Figure().subplots()


def test_null_is_a_gap_in_the_line():
    rows = [{"update": u, "a": None if u == 2 else float(u)} for u in range(5)]
    ax = axes()
    assert lines(rows, [Line("a", "a", COLOURS[0])], LINEAR)(ax)
    np.testing.assert_array_equal(ax.lines[-1].get_ydata(), [0, 1, np.nan, 3, 4])


def test_a_missing_metric_draws_nothing():
    rows = [{"update": 1, "a": None}]
    missing = [Line("a", "a", COLOURS[0]), Line("b", "b", COLOURS[1])]
    assert not lines(rows, missing, LINEAR)(axes())
    assert not bands(rows, [("test", missing[0], "-")])(axes())
    assert not stack(rows, missing)(axes())


def test_smoothing_keeps_constants_slopes_and_gaps():
    np.testing.assert_allclose(smooth(np.full(200, 3.0)), 3.0)
    slope = np.arange(200.0)
    np.testing.assert_allclose(smooth(slope)[5:-5], slope[5:-5])
    gap = np.where(np.arange(200) % 7 == 0, np.nan, 1.0)
    np.testing.assert_array_equal(smooth(gap), gap)
    assert smooth(np.array([1.0, 9.0])).tolist() == [1.0, 9.0]
    noise = np.random.default_rng(0).normal(size=400)
    assert smooth(noise).std() < 0.4 * noise.std()


def test_a_logarithmic_axis_drops_what_has_no_logarithm():
    ax = axes()
    rows = [{"update": u, "a": v} for u, v in enumerate((0.0, 1e-3, -1.0, 1e-1))]
    assert lines(rows, [Line("a", "a", COLOURS[0])], LOG)(ax)
    np.testing.assert_allclose(np.asarray(ax.lines[-1].get_ydata()), [np.nan, 1e-3, np.nan, 1e-1])
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("value", [19.276952743530273, 100.0, 1e-5])
def test_a_run_of_one_update_is_seen(value):
    rows = [{"update": 1, "a": value}]
    wanted = [Line("a", "a", COLOURS[0])]
    for scale, room in ((LINEAR, 1.04), (LOG, 1.9)):
        ax = axes()
        assert lines(rows, wanted, scale)(ax)
        (point,) = ax.lines
        assert point.get_marker() == "o" and point.get_alpha() is None
        low, high = ax.get_ylim()
        assert low < value / room < room * value < high
    ax = axes()
    assert stack(rows, wanted)(ax)
    width = np.ptp(ax.collections[0].get_paths()[0].vertices[:, 0])
    np.testing.assert_allclose(width, 0.8)


def test_an_axis_of_zeros_has_nothing_below_them():
    ax = axes()
    rows = [{"update": u, "share": 0.0} for u in (1, 2)]
    assert lines(rows, [Line("share", "share", COLOURS[0])], LINEAR)(ax)
    assert -0.05 < ax.get_ylim()[0] < 0 < ax.get_ylim()[1]


def test_no_tick_stands_between_two_updates(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        panels, "Figure", lambda **options: figures.append(Figure(**options)) or figures[-1]
    )
    rows = [{"update": u, "a": 0.5} for u in (1, 2)]
    draw = lines(rows, [Line("a", "a", COLOURS[0])], LINEAR)
    save_grid(tmp_path / "short.png", "short", [Panel("a", "", draw)], columns=1)
    (ax,) = figures[0].axes
    assert set(ax.get_xticks()) <= set(range(-1, 5))


def test_series_leaves_out_rows_without_the_metric():
    updates, values = series([{"update": 1}, {"update": 2, "a": 5}], "a")
    assert updates.tolist() == [2] and values.tolist() == [5]


@pytest.mark.parametrize("plot", [plot_rl, plot_pretrain])
def test_much_little_and_nothing_are_drawn_the_same_each_time(tmp_path, plot):
    plot(tmp_path, tmp_path / "nothing.png")
    small_run(tmp_path)
    for name in ("one", "two"):
        plot(tmp_path, tmp_path / f"{name}.png")
    one, nothing = ((tmp_path / f"{n}.png").read_bytes() for n in ("one", "nothing"))
    assert one == (tmp_path / "two.png").read_bytes() and one != nothing
    assert one.startswith(b"\x89PNG") and len(one) > 20_000


def test_report_sets_before_beside_after(tmp_path):
    small_run(tmp_path)
    path = write_report(
        tmp_path,
        summary={"facts": {"device_kind": "cpu"}, "seconds": 12.5},
        samples_before=[],
        samples_after=[SAMPLE] * 5,
        plot=plot_rl,
    )
    text = path.read_text()
    assert "| test | before (update 0) | after (update 3) |" in text
    assert "| pass@1 | 0.125 [0.025, 0.225] | 0.750 [0.650, 0.850] |" in text
    assert "| cons@8 | 0.125 | 0.750 |" in text
    assert "| pass@1 of 2-digit | 0.125 | 0.750 |" in text
    assert "| pass@1 of 3-digit | — | — |" in text
    assert "| ood | before (update 3) | after (no later evaluation) |" in text
    assert "| facts.device_kind | cpu |" in text and "| seconds sample | 6 |" in text
    assert text.count("一加二?") == 3 and "````text\n```\n3\n```\n````" in text
    assert (tmp_path / "report.png").exists() and "](report.png)" in text


def test_report_of_a_run_that_measured_nothing_says_so(tmp_path):
    text = write_report(
        tmp_path, summary={}, samples_before=[], samples_after=[], plot=plot_rl
    ).read_text()
    assert "No evaluation." in text


def test_a_sample_that_lacks_a_key_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"sample 1 before: missing keys \['score', 'reason'\]"):
        incomplete = [{"prompt": "a", "completion": "b"}]
        write_report(
            tmp_path, summary={}, samples_before=incomplete, samples_after=[], plot=plot_rl
        )
