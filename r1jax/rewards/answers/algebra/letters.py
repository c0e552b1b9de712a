"""Names of letters with their marks: x_1, y'', \\vec{a}, f^{-1}."""

from r1jax.config import UserError
from r1jax.rewards.answers.algebra.tokens import ACCENTS, END, Cursor


def name(words: Cursor) -> str:
    """Takes a letter with its accent, primes and indices."""
    text = words.peek()
    words.skip()
    if text[1:] in ACCENTS:
        text += _under_accent(words)
    while words.peek() in ("'", "_"):
        text += words.take("'") or _index(words)
    return text


def applied_power(words: Cursor) -> str:
    """Takes the power between a function and its bracket: -1 of f^{-1}(x); "" where none stands."""
    if words.peek() != "^":
        return ""
    last = 1
    if words.peek(1) == "{":
        while words.peek(last) not in ("}", END):
            last += 1
    if words.peek(last + 1) != "(":
        return ""
    text = "".join(words.peek(ahead) for ahead in range(last + 1))
    words.skip(last + 1)
    return text.replace("{", "").replace("}", "")


def _under_accent(words: Cursor) -> str:
    inner = []
    braces = words.take("{")
    while words.kind() in ("letter", "number"):
        inner.append(words.peek())
        words.skip()
        if not braces:
            break
    if braces:
        words.expect("}")
    if not inner:
        raise UserError("an accent over nothing")
    return "{" + "".join(inner) + "}"


def _index(words: Cursor) -> str:
    words.expect("_")
    inner = []
    if words.take("{"):
        while words.peek() not in ("}", "{", END):
            inner.append(words.peek())
            words.skip()
        words.expect("}")
    elif words.kind() in ("letter", "number"):
        inner.append(words.peek())
        words.skip()
    if not inner:
        raise UserError("an index of nothing")
    return f"_{''.join(inner)}"
