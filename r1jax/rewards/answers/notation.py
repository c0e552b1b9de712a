r"""Other notations of the same: unicode signs, repeating decimals, arrays, bases in words.

Each pass rewrites one notation into LaTeX's most usual one; `latex.tidy` calls them.
"""

import re
import unicodedata
from fractions import Fraction

# before NFKC, which would make plain letters and dots of them
_BEFORE = str.maketrans(
    {
        **{sign: f"\\mathbb{{{letter}}}" for sign, letter in zip("ℝℤℕℚℂ", "RZNQC", strict=True)},
        "…": "\\ldots ",
        "⋯": "\\ldots ",
    }
)
_GREEK_NAMES = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda - nu xi - pi rho
    sigma sigma tau upsilon phi chi psi omega"""
_CAPITALS = {"Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi"}
_CAPITALS |= {"Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi"}
# omega and mu stay, as they are ohm and micro too
_LETTERS = {
    chr(code): name for code, name in enumerate(_GREEK_NAMES.split(), 0x3B1) if name != "-"
} | _CAPITALS
_OPERATORS = {"×": "times", "÷": "div", "·": "cdot", "⋅": "cdot", "∞": "infty", "∪": "cup"}
_OPERATORS |= {"∩": "cap", "≤": "le", "≥": "ge", "∈": "in", "±": "pm", "∓": "mp", "≈": "approx"}
_OPERATORS |= {"∅": "emptyset", "≠": "ne", "∖": "setminus", "∉": "notin", "≡": "equiv"}
_OPERATORS |= {"∠": "angle", "∣": "mid", "→": "to", "⟨": "langle", "⟩": "rangle"}
_SIGNS = str.maketrans(
    {sign: f"\\{name} " for sign, name in (_LETTERS | _OPERATORS).items()}
    | {"\u2212": "-", "\u2215": "/", "\u2044": "/", "\u2032": "'", "√": "\\sqrt", "∛": "\\sqrt[3]"}
)
_RAISED = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207b\u207f]+")
_LOWERED = re.compile("[\u2080-\u2089]+")
_DIGITS = str.maketrans(
    "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079\u207a\u207b\u207f"
    "\u2080\u2081\u2082\u2083\u2084\u2085\u2086\u2087\u2088\u2089",
    "0123456789+-n0123456789",
)
_FRACTION = re.compile("[\u00bc-\u00be\u2150-\u215e]")
# all but circled digits (a 1 in a circle is no 1) and the numerator that a digit before would join
_KEPT = re.compile("[^\u2460-\u24ff\u215f]+")
_ROOT_SIGN = re.compile("([√∛])\\s*(\\d+(?:\\.\\d+)?|[A-Za-z])")


def ascii_signs(text: str) -> str:
    """NFKC, but 10 with a superscript 2 is 10^{2}, not 102, and 2 with a small half is 2 1/2."""
    text = _RAISED.sub(lambda match: f"^{{{match[0].translate(_DIGITS)}}}", text)
    text = _LOWERED.sub(lambda match: f"_{{{match[0].translate(_DIGITS)}}}", text)
    text = _FRACTION.sub(_fraction, text).translate(_BEFORE)
    text = _KEPT.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    return _ROOT_SIGN.sub(r"\1{\2}", text).translate(_SIGNS)


def _fraction(match: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return f"\\frac{{{above}}}{{{below}}}"


_DOUBLED = re.compile(r"\\\\(?=[A-Za-z{}$%(\[,;!])")
_JSON = re.compile(r'\[\s*("[^"]*"(?:\s*,\s*"[^"]*")*)\s*\]')


def unescaped(text: str) -> str:
    r"""A text that was stored as JSON: \\sqrt{2} and ["34"]; matrices keep their \\."""
    if "\\\\" in text and "\\begin" not in text:
        text = _DOUBLED.sub(r"\\", text)
    if text.startswith("[") and (stored := _JSON.fullmatch(text)):
        text = stored[1].replace('"', "")
    return text


_THOUSANDS = re.compile(r"(?<![\d}])[1-9]\d{0,2}(?:\{,\}\d{3})+(?![\d{])")
_COMMA = re.compile(r"(?<![\d,}])(\d+)\{,\}(\d{1,2}|\d{4,})(?![\d{,])")
_UNIT_VECTOR = re.compile(
    r"\\hat\s*\{?\s*(?:\\(?:mathbf|bm|boldsymbol|mathrm)\s*\{([ijk])\}|\\([ij])math(?![A-Za-z]))\s*\}?"
)
_ELLIPSIS = re.compile(r"(?<=[,+*<=])(\s*)\.\.\.|(?<=[-])(\s*)\.\.\.")
_AND_SO_ON = re.compile(
    r"(?<![\d.])(\d*)\.(\d*?)(?:(\d)\3{2,}|(\d{2,6})\4+)\s*(?:\.\.\.|\\ldots(?![A-Za-z]))"
)


def decimal_comma(text: str) -> str:
    """A text with 3{,}5 written as 3.5, and 3{,}500 as 3500."""
    text = _THOUSANDS.sub(lambda match: match[0].replace("{,}", ""), text)
    return _COMMA.sub(r"\1.\2", text)


def unit_vectors(text: str) -> str:
    r"""A text with \hat{\mathbf{i}} and \hat\imath written as \hat{i}."""
    if "\\hat" not in text:
        return text
    return _UNIT_VECTOR.sub(lambda match: f"\\hat{{{match[1] or match[2]}}}", text)


def bold(letter: str) -> str:
    """A bold letter inside a formula: a set of numbers, a unit vector or another vector."""
    if letter in "NZQRC":
        return f"\\mathbb{{{letter}}}"
    return f"\\hat{{{letter}}}" if letter in "ijk" else f"\\vec{{{letter}}}"


def ellipses(text: str) -> str:
    r"""A text with 0.333\ldots as its fraction, and three dots between terms as \ldots."""
    text = _AND_SO_ON.sub(lambda m: _fraction_of(m[1], m[2], m[3] or m[4]) or m[0], text)
    return _ELLIPSIS.sub(r"\1\\ldots ", text)


_PRIMES = re.compile(r"\^\s*(?:\\prime(?![A-Za-z])|\{\s*((?:\\prime\s*)+)\})")
_REPEATING = re.compile(r"(\d*)\.(\d*?)(?:\\(?:overline|bar|dot)\s*(?:\{(\d+)\}|(\d))|\((\d+)\))")
_DOTTED = re.compile(r"\\dot\s*\{?(\d)\}?(\d*)\\dot\s*\{?(\d)\}?")
_ARRAY = re.compile(
    r"[(\[]\s*\\begin\{(?:array\}\s*\{[^{}]*|matrix|smallmatrix)\}(.*?)"
    r"\\end\{(?:array|matrix|smallmatrix)\}\s*[)\]]",
    re.DOTALL,
)
_MODULUS = re.compile(r"\\pmod\s*(\w)")
_BLACKBOARD = re.compile(r"\\mathbb\s*([A-Z])|\\([RZNQ])(?![A-Za-z])")
_BASE = re.compile(r"_\{\s*\(?(?:\\text\{)?\s*\(?(\w+)\)?\s*\}?\)?\s*\}")
_CHOOSE = re.compile(r"\{\s*([^{}\\]{1,20}?)\s*\\choose\s*([^{}\\]{1,20}?)\s*\}")
_COUNT = re.compile(
    r"(?<![A-Za-z\\}])(?:\\text\{([CA])\}|([CA])) ?"
    r"(?:_\{?(\d{1,3})\}? ?\^\{?(\d{1,3})\}?|\^\{?(\d{1,3})\}? ?_\{?(\d{1,3})\}?)(?!\d)"
)
_CASES = re.compile(
    r"(?:\\begin\{cases\}(.*?)\\end\{cases\}"
    r"|\\\{\s*\\begin\{array\}\s*\{[lcr]*\}(.*?)\\end\{array\}\s*)\.?",
    re.DOTALL,
)
_IN_NUMBERS = re.compile(r"\\in\s*(?:\\text\{ ?([NZQRC]) ?\}|([NZQRC])(?![A-Za-z_('^{]|\s*\())")
_IN_WORD = re.compile(r"(?<=[a-z]) in (?=[NZQRC](?![A-Za-z])|\\mathbb)")
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
_BASES |= {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "sixteen": 16}


def usual(text: str) -> str:
    r"""LaTeX in its most usual notation: 0.\overline{3} is \frac{1}{3}, an array a matrix."""
    if "prime" in text:
        text = _PRIMES.sub(lambda match: "'" * max(1, (match[1] or "").count("prime")), text)
    if "." in text and ("\\" in text or "(" in text):
        text = _REPEATING.sub(_repeating, _DOTTED.sub(r"\\overline{\1\2\3}", text))
    if "\\begin" in text:
        text = _ARRAY.sub(r"\\begin{pmatrix}\1\\end{pmatrix}", text)
    if "\\pmod" in text:
        text = _MODULUS.sub(r"\\pmod{\1}", text)
    if "\\choose" in text:
        text = _CHOOSE.sub(r"\\binom{\1}{\2}", text)
    if "C" in text or "A" in text:
        text = _COUNT.sub(_count, text)
    if "\\begin" in text and (cases := _CASES.fullmatch(text)):
        text = _system(cases)
    text = _IN_WORD.sub(r" \\in ", text)
    if "\\in" in text:
        text = _IN_NUMBERS.sub(lambda match: f"\\in \\mathbb{{{match[1] or match[2]}}}", text)
    if "_{" in text and text[0].isalnum():
        text = _BASE.sub(_base, text)
    if "\\" not in text:
        return text
    return _BLACKBOARD.sub(lambda match: f"\\mathbb{{{match[1] or match[2]}}}", text)


def _repeating(match: re.Match[str]) -> str:
    return _fraction_of(match[1], match[2], match[3] or match[4] or match[5]) or match[0]


def _fraction_of(whole: str, once: str, again: str) -> str:
    """A repeating decimal as a fraction, "" for more than 40 digits."""
    if len(once + again) > 40:
        return ""
    nines = 10 ** len(once) * (10 ** len(again) - 1)
    value = Fraction(int(whole + once + again) - int(whole + once or "0"), nines)
    if value.denominator == 1:
        return str(value.numerator)
    return f"\\frac{{{value.numerator}}}{{{value.denominator}}}"


def _count(match: re.Match[str]) -> str:
    """C_5^2 and A_5^2, combinations and arrangements; A_1^2 is the square of a letter."""
    n, k = int(match[3] or match[6]), int(match[4] or match[5])
    if n < max(k, 2):
        return match[0]
    if "C" in (match[1], match[2]):
        return f"\\binom{{{n}}}{{{k}}}"
    return f"\\frac{{{n}!}}{{{n - k}!}}"


def _system(match: re.Match[str]) -> str:
    """The equations of a system as a list; pieces of a function stay."""
    rows = [row.strip(" ,;") for row in (match[1] or match[2]).split("\\\\")]
    rows = [row for row in rows if row]
    system = all(row.count("=") == 1 and "\\text" not in row for row in rows)
    return ", ".join(rows).replace("&", "") if system else match[0]


def _base(match: re.Match[str]) -> str:
    base = str(_BASES.get(match[1], match[1]))
    return f"_{{{base}}}" if base.isdigit() else match[0]
