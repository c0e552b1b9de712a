import pytest

from r1jax.data.rows.readability import readable, summary

GOOD = {"language": 1.0, "repetition": 0.0}


@pytest.mark.parametrize(
    ("text", "parts", "wanted"),
    [
        ("<think>2+5≡7</think>The last digit is \\boxed{7}.", GOOD, True),
        ("<think>2+5≡7</think>个位是\\boxed{7}。", GOOD, True),
        ("2+5≡7</think>The answer is 7", GOOD, True),  # the prompt opened the thought
        ("<think>2+5≡7</think><answer>7</answer>", GOOD, False),  # no word for a reader
        ("<think>2+5≡7</think>\\boxed{7}", GOOD, False),
        ("<think>2+5≡7</think>", GOOD, False),
        ("<think>2+5≡7 The answer is 7", GOOD, False),  # the thought does not end
        ("The answer is 7", GOOD, False),
        ("<think>2+5≡7</think>The answer is 7", GOOD | {"language": 0.9}, False),
        ("<think>2+5≡7</think>The answer is 7", GOOD | {"repetition": -0.2}, False),
    ],
)
def test_a_reader_wants_one_language_no_loops_and_a_summary(text, parts, wanted):
    assert readable(text, parts) is wanted


def test_a_summary_has_no_tags_and_no_thought():
    assert summary("<think>a</think> <answer>7</answer>") == "7"
