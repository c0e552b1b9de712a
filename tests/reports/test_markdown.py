from r1jax.reports.markdown import fenced, plain


def test_a_name_has_no_effect_on_the_page():
    assert plain("a_b *c*\n<d> [e]") == r"a\_b \*c\* \<d\> \[e\]"


def test_a_fence_is_longer_than_any_in_the_text():
    assert fenced("x ```` y") == ["`````text", "x ```` y", "`````"]
    assert fenced("x") == ["```text", "x", "```"]
    assert fenced("a\x1bb")[1] == r"a\x1bb"
