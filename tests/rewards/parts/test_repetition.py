import pytest
from hypothesis import given
from hypothesis import strategies as st

from r1jax.rewards.parts.repetition import penalty, repeated_share

words = st.lists(st.sampled_from(["a", "b", "wait", "12", "\u7b49", ";"]), max_size=30)
sizes = st.integers(1, 6)


@pytest.mark.parametrize(
    ("text", "n", "share"),
    [
        ("", 1, 0.0),
        ("a", 1, 0.0),
        ("a a", 1, 1 / 2),
        ("a a", 2, 0.0),
        ("a a a", 2, 1 / 2),
        ("a b c a b c", 3, 1 / 4),  # abc bca cab abc
        ("a b a b a b a b", 2, 5 / 7),
        ("to be or not to be", 2, 1 / 5),
        ("To be, or not TO BE", 2, 1 / 6),  # the comma is a word
        ("\u7b49\u7b49\u7b49\u7b49", 2, 2 / 3),
        ("\u7b97\u4e00\u7b97 \u7b97\u4e00\u7b97", 3, 1 / 4),
        ("7*3=1 7*3=1", 3, 3 / 8),
        ("!!!!!", 1, 4 / 5),
        ("\u3042\u3042\u3042", 1, 2 / 3),
        ("a" * 100, 2, 3 / 4),  # five pieces of 20
        ("one two three four", 2, 0.0),
    ],
)
def test_shares_by_hand(text, n, share):
    assert repeated_share(text, n=n) == pytest.approx(share)
    assert penalty(text, n=n)[0] == pytest.approx(-share)


def test_the_penalty_tells_the_share():
    assert penalty("a b a b a", n=2) == (-0.5, "50.0% of the 2-grams are repeated")


@given(words, sizes)
def test_the_share_is_what_counting_every_n_gram_gives(said, n):
    grams = [said[i : i + n] for i in range(len(said) - n + 1)]
    seen_before = sum(gram in grams[:i] for i, gram in enumerate(grams))
    want = seen_before / len(grams) if grams else 0.0
    assert repeated_share(" ".join(said), n=n) == pytest.approx(want)


@given(words, sizes)
def test_longer_n_grams_repeat_no_more_often(said, n):
    # as counts: every repeated (n+1)-gram begins with a repeated n-gram
    text = " ".join(said)
    counts = [repeated_share(text, n=k) * max(len(said) - k + 1, 0) for k in (n, n + 1)]
    assert counts[1] <= counts[0] + 1e-9


@given(words, sizes, st.integers(2, 5))
def test_saying_it_again_never_lowers_the_share(said, n, times):
    once = repeated_share(" ".join(said), n=n)
    again = repeated_share(" ".join(said * times), n=n)
    assert again >= once - 1e-12 and 0 <= again < 1


@given(words, sizes)
def test_case_and_space_do_not_matter(said, n):
    assert repeated_share(" ".join(said), n=n) == repeated_share("\n  ".join(said).upper(), n=n)


@pytest.mark.parametrize("n", [0, -3])
def test_empty_n_grams_are_refused(n):
    with pytest.raises(ValueError, match=f"n-grams of {n} words"):
        repeated_share("a b", n=n)


@pytest.mark.parametrize("piece", ["a", "!", "ab ", "\u7b49", "\u7b49a", "a!", "1 ", " ", "\u0301"])
@pytest.mark.parametrize("n", [3, 20])
def test_a_megabyte_takes_linear_time(piece, n):
    # 0.1 to 0.5 s; quadratic time would be an hour
    share = repeated_share((piece * 300_000)[:300_000], n=n)
    assert share > 0.99 if piece.strip() else share == 0.0
