import pytest

from r1jax import config as configs
from r1jax.data.rows.filters import FILTERS, FilterConfig, active, rejections

OFF = FilterConfig(
    finished=False,
    correct=False,
    format=False,
    language=None,
    repetition=None,
    paragraph=None,
    no_code=False,
    tokens=None,
    thought=None,
)
ALL = FilterConfig(
    finished=True,
    correct=True,
    format=True,
    language=0.8,
    repetition=0.1,
    paragraph=20,
    no_code=True,
    tokens=9,
    thought=4,
)
PARTS = {"format": 1.0, "language": 0.8, "repetition": -0.1}
GOOD = {
    "id": "q",
    "completion": "<think>one two three four\n\nfive six</think>7",
    "opened": False,
    "value": 1.0,
    "error": False,
    "parts": PARTS,
    "tokens": 9,
    "truncated": False,
}


def test_a_row_on_every_limit_passes():
    assert rejections(GOOD, ALL) == {}


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("finished", {"truncated": True}, "cut off"),
        ("correct", {"value": 0.0}, "accuracy 0"),
        ("correct", {"value": 0.5}, "accuracy 0.5"),
        ("correct", {"error": True}, "not be judged"),
        ("format", {"parts": {**PARTS, "format": 0.5}}, "format 0.5"),
        ("language", {"parts": {**PARTS, "language": 0.79}}, "0.79 below 0.8"),
        ("repetition", {"parts": {**PARTS, "repetition": -0.11}}, "0.11 above 0.1"),
        ("paragraph", {"completion": f"<think>ok\n \n{'x' * 21}</think>7"}, "21 characters"),
        ("code", {"completion": "<think>see ```x```</think>7"}, "block of code"),
        ("tokens", {"tokens": 10}, "10 tokens, more than 9"),
        ("thought", {"completion": "<think>abc</think>7"}, "3 characters, fewer than 4"),
        ("thought", {"completion": "just 7"}, "0 characters"),
    ],
)
def test_each_filter_rejects_one_step_beyond_its_limit(name, changes, why):
    row = {**GOOD, **changes}
    ((rejected_by, told),) = rejections(row, ALL).items()
    assert rejected_by == name and why in told
    assert rejections(row, OFF) == {}


def test_the_thought_is_found_where_the_prompt_opened_it():
    row = {**GOOD, "completion": "see ```x```</think>7", "opened": True}
    assert list(rejections(row, ALL)) == ["code"]
    outside = {**GOOD, "completion": "<think>fine</think>```x```"}
    assert rejections(outside, ALL) == {}


def test_all_reasons_are_told_the_first_one_first():
    row = {**GOOD, "truncated": True, "value": 0.0, "tokens": 99}
    assert list(rejections(row, ALL)) == ["finished", "correct", "tokens"]


@pytest.mark.parametrize("said", ["", " \n"])
def test_a_completion_that_says_nothing_is_never_fit(said):
    assert list(rejections({**GOOD, "completion": said}, OFF)) == ["blank"]


def test_only_filters_that_are_on_are_named():
    assert active(OFF) == ["blank"] and active(ALL) == list(FILTERS)


def test_a_row_that_was_never_judged_is_named():
    with pytest.raises(ValueError, match=r"sampled row 'q': missing fields \['parts', 'truncated'"):
        rejections({k: v for k, v in GOOD.items() if k not in ("parts", "truncated")}, ALL)


@pytest.mark.parametrize(
    "changes", [{"language": 1.1}, {"repetition": -0.1}, {"paragraph": 0}, {"thought": 0}]
)
def test_limits_out_of_range_are_refused(changes):
    with pytest.raises(ValueError, match=f"{next(iter(changes))}: got"):
        configs.build(FilterConfig, {**vars(ALL), **changes})
