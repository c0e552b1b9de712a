from r1jax.reports.markdown import fenced, plain


def test_a_name_has_no_effect_on_the_page():
    assert plain("a_b *c*\n<d> [e]") == r"a\_b \*c\* \<d\> \[e\]"


def test_a_fence_is_longer_than_any_in_the_text():
    assert fenced("x ```` y") == "`````text\nx ```` y\n`````"
    assert fenced("x") == "```text\nx\n```"
    assert fenced("a\x1bb") == "```text\na\\x1bb\n```"
