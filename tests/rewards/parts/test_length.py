import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.parts.length import cosine, soft_overlong

caps = st.integers(1, 10**6)
values = st.floats(-10, 10)


@pytest.mark.parametrize(
    ("tokens", "value"),
    [
        (0, 0.0),
        (16_384, 0.0),
        (16_385, -1 / 4096),
        (18_432, -0.5),
        (20_479, -4095 / 4096),
        (20_480, -1.0),
        (50_000, -1.0),
    ],
)
def test_soft_overlong_with_the_numbers_of_dapo(tokens, value):
    assert soft_overlong(tokens, cap=20_480, buffer=4096)[0] == value


def test_soft_overlong_tells_what_is_free():
    assert soft_overlong(30, cap=40, buffer=20) == (-0.5, "30 tokens, 20 are free, cap 40")
    assert soft_overlong(7, cap=40, buffer=20) == (0.0, "7 tokens, 20 are free")


@given(st.data(), caps)
def test_soft_overlong_falls_from_0_to_minus_1_in_equal_steps(data, cap):
    buffer = data.draw(st.integers(1, cap))
    tokens = data.draw(st.integers(0, 2 * cap))
    here, next_ = (soft_overlong(n, cap=cap, buffer=buffer)[0] for n in (tokens, tokens + 1))
    assert -1 <= next_ <= here <= 0
    step = 1 / buffer if cap - buffer <= tokens < cap else 0
    assert here - next_ == pytest.approx(step, abs=1e-12)


PAPER = dict(
    cap=1000, right_short=2.0, right_long=1.0, wrong_short=-10.0, wrong_long=0.0, exceeded=-10.0
)


@pytest.mark.parametrize(
    ("tokens", "correct", "value"),
    [
        (0, True, 2.0),
        (250, True, 1.5 + 0.5 * 2**-0.5),
        (500, True, 1.5),
        (750, True, 1.5 - 0.5 * 2**-0.5),
        (0, False, -10.0),
        (500, False, -5.0),
        (667, False, -2.5),
        (1000, True, -10.0),
        (1000, False, -10.0),
        (1001, True, -10.0),
    ],
)
def test_cosine_by_hand(tokens, correct, value):
    # 667 of 1000 is a little past two thirds, where the cosine is -1/2
    assert cosine(tokens, correct, **PAPER)[0] == pytest.approx(value, abs=0.01)


def test_cosine_tells_how_long_the_answer_was():
    assert cosine(5, True, **PAPER)[1] == "right in 5 of 1000 tokens"
    assert cosine(5, False, **PAPER)[1] == "wrong in 5 of 1000 tokens"
    assert cosine(1000, True, **PAPER)[1] == "1000 tokens reach the cap of 1000"


@given(st.data(), caps, st.booleans(), values, values)
def test_cosine_leads_from_the_short_to_the_long_value(data, cap, correct, short, long):
    tokens = data.draw(st.integers(0, cap - 1))
    other = dict(zip(("right", "wrong"), (correct, not correct), strict=True))
    knobs = {f"{name}_short": short if used else 99.0 for name, used in other.items()}
    knobs |= {f"{name}_long": long if used else 99.0 for name, used in other.items()}

    def at(n: int) -> float:
        return cosine(n, correct, cap=cap, exceeded=-99.0, **knobs)[0]

    assert at(0) == pytest.approx(short, abs=1e-9)
    assert min(short, long) - 1e-9 <= at(tokens) <= max(short, long) + 1e-9
    assert at(cap) == at(cap + 1) == -99.0
    if tokens + 1 < cap:
        assert (at(tokens + 1) - at(tokens)) * (long - short) >= -1e-9
    # symmetric about the middle
    if tokens > 0:
        assert at(tokens) + at(cap - tokens) == pytest.approx(short + long, abs=1e-9)


@pytest.mark.parametrize(("tokens", "cap"), [(-1, 10), (0, 0), (3, -2)])
def test_lengths_that_cannot_be_are_refused(tokens, cap):
    with pytest.raises(ValueError, match=f"got {tokens} tokens and a cap of {cap}"):
        soft_overlong(tokens, cap=cap, buffer=1)
    with pytest.raises(ValueError, match=f"got {tokens} tokens and a cap of {cap}"):
        cosine(tokens, True, **PAPER | {"cap": cap})


@pytest.mark.parametrize("buffer", [-1, 0, 11])
def test_a_buffer_outside_the_cap_is_refused(buffer):
    with pytest.raises(ValueError, match=f"got buffer {buffer}, wanted 1 to the cap of 10"):
        soft_overlong(5, cap=10, buffer=buffer)
