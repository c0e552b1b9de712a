"""Inside the sandbox: whether the output of a program is the wanted one."""

TOLERANCE = 1e-6  # absolute, and relative to numbers above 1, as most contests have it


def _number(token: str) -> float | None:
    if not set(token) <= set("0123456789.+-eE"):
        return None
    try:
        return float(token)
    except ValueError:
        return None


def compare(got: str, want: str) -> str:
    """Returns "" if two outputs agree token by token, else how they differ.

    Tokens are what white space divides. Where the wanted one is a number with a point, another
    number agrees within 1e-6, absolutely or relatively.
    """
    left, right = got.split(), want.split()
    for i, (a, b) in enumerate(zip(left, right, strict=False)):
        if a == b:
            continue
        x, y = (_number(a), _number(b)) if "." in b else (None, None)
        if x is None or y is None or not abs(x - y) <= TOLERANCE * max(1.0, abs(y)):
            return f"token {i + 1}: got {a[:40]!r}, wanted {b[:40]!r}"
    if len(left) != len(right):
        return f"got {len(left)} tokens, wanted {len(right)}"
    return ""
