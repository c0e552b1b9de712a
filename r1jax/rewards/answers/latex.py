r"""Mathematical text as people write it, brought to one spelling."""

import re

from r1jax.rewards.answers import notation
from r1jax.text import wording

_COMMANDS = {
    "\\!": "",
    "{,}": ",",
    "\\,": " ",
    "\\;": " ",
    "\\:": " ",
    "\\ ": " ",
    "~": " ",
    "$": "",
    "\\$": "$",
    "\\%": "%",
    "\\left": "",
    "\\right": "",
    **{f"\\{size}{side}": "" for size in ("big", "Big", "bigg", "Bigg") for side in ("", "l", "r")},
    "\\middle": "",
    "\\limits": "",
    "\\textstyle": "",
    "\\mu": "\u03bc",
    "\\Omega": "\u03a9",
    "\\Rs": "Rs",
    "\\quad": " ",
    "\\qquad": " ",
    "\\displaystyle": "",
    "\\dfrac": "\\frac",
    "\\tfrac": "\\frac",
    "\\cfrac": "\\frac",
    "\\leq": "\\le",
    "\\geq": "\\ge",
    "\\leqslant": "\\le",
    "\\geqslant": "\\ge",
    "\\neq": "\\ne",
    "\\cdots": "\\ldots",
    "\\dots": "\\ldots",
    "\\langle": "(",
    "\\rangle": ")",
    "\\backslash": "\\setminus",
    "\\smallsetminus": "\\setminus",
    "\\vert": "|",
    "\\lvert": "|",
    "\\rvert": "|",
    "\\tbinom": "\\binom",
    "\\dbinom": "\\binom",
    "^\\circ": "°",
    "^{\\circ}": "°",
    "\\degree": "°",
    "\\lbrace": "\\{",
    "\\rbrace": "\\}",
    "\\varnothing": "\\emptyset",
    "\\colon": ":",
    "\\(": "",
    "\\)": "",
    "\\[": "",
    "\\]": "",
}
# \\ alone ends a row of a matrix, so it is taken first
_COMMAND = re.compile(
    r"\\\\|\{,\}|\^\s*(?:\\circ|\{\s*\\circ\s*\})(?![A-Za-z])|\\[A-Za-z]+|\\.|[~$]"
)
_TEXT = re.compile(
    r"\\(text(?:bf|it|rm|normal)?|mbox|hbox|math(?:rm|bf|it)|operatorname)\s*"
    r"\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_COLOUR = re.compile(r"\\(?:text)?color\s*\{[^{}]*\}")
_WRAPPER = re.compile(r"\\(?:boldsymbol|bm|pmb|underline|mathbf|mathrm|textbf|text|boxed)\s*\{")
_BRACE = re.compile(r"\\.|[{}]")
_BARE = (
    ("\\frac", re.compile(r"\\frac\s*(\d)"), r"\\frac{\1}"),
    ("\\frac", re.compile(r"\\frac\s*(\{[^{}]*\})\s*(\d)"), r"\\frac\1{\2}"),
    ("\\sqrt", re.compile(r"\\sqrt\s*(\d)"), r"\\sqrt{\1}"),
    ("\\sqrt", re.compile(r"\\sqrt(\[\d\])?\s*\(([^()]*)\)"), r"\\sqrt\1{\2}"),
    ("\\not", re.compile(r"\\not\s*="), r"\\ne "),
    ("\\not", re.compile(r"\\not\s*\\in(?![A-Za-z])"), r"\\notin "),
    ("\\{", re.compile(r"\\\{\s*\\\}"), r"\\emptyset"),
)
# an odd dollar in front of a number, or the last behind one
_MONEY = re.compile(r"(?<!\\)\$(?=\s*[-.\d])|(?<=\d)(?<!\\)\$\Z")
_ASCII_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)")
_ASCII_NAME = re.compile(
    r"(?<![\\A-Za-z])(pi|infty|arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec"
    r"|csc|log|ln|exp|sqrt|cis|(?:gcd|lcm|max|min)(?= ?\())(?![A-Za-z])"
)
# names of functions that LaTeX or its users set as text
_NAMES = """gcd lcm max min sgn sign Re Im arccot sec csc cot lg sin cos tan log ln exp arcsin
    arccos arctan det dim deg cis"""
_FUNCTIONS = frozenset(_NAMES.split())
_ABOUT = re.compile(
    r"\A(?:\\approx|\\sim(?![a-z])|=|大?约(?=[\s\d])|(?:about|approximately) (?=\d))\s*"
)
_ANGLED = re.compile(r"<([^<>=]+,[^<>=]+)>")
_ARGUMENT = re.compile(r"\s*[({\\_]")
_ENDS = " .,;:\u3002\u3001"


def tidy(text: str) -> str:
    r"""Returns one spelling of a mathematical text: NFKC, single spaces, \frac{1}{2}, no stop.

    Gone are \left and \right, thin spaces, the dollars around formulas, colours, what makes the
    whole bold or underlined, and a leading \approx or =. Text in \mathrm, \mbox and their like
    becomes \text{}, and \text{} around the whole is removed; \$ is $, a sign of money.
    """
    if not text.isascii():
        text = notation.ascii_signs(text)
    elif text.isdigit():
        return text
    text = notation.unescaped(text.strip())
    if "{,}" in text:
        text = notation.decimal_comma(text)
    if len(text) > 4 and text.startswith("**") and text.endswith("**"):
        text = text[2:-2]
    if "$" in text and (text.count("$") - text.count("\\$")) % 2:
        text = _MONEY.sub(r"\\$", text, count=1)
    if "\\" in text or "$" in text or "{,}" in text or "~" in text:
        text = _unwrapped(_COLOUR.sub("", _COMMAND.sub(_command, text)))
        text = _TEXT.sub(_words, notation.unit_vectors(text))
    if text.startswith("<"):
        text = _ANGLED.sub(r"(\1)", text)
    if "..." in text or "\\ldots" in text:
        text = notation.ellipses(text)
    text = _ASCII_NAME.sub(r"\\\1 ", _ASCII_ROOT.sub(r"\\sqrt{\1}", text))
    if "\\" in text or "(" in text or "_" in text:
        text = notation.usual(text)
        for command, pattern, new in _BARE:
            if command in text:
                text = pattern.sub(new, text)
    text = _ABOUT.sub("", " ".join(text.split()).rstrip(_ENDS).strip())
    if text.startswith("\\text{") and text.find("}") == len(text) - 1:
        text = text[len("\\text{") : -1].strip(_ENDS)
    return wording.spelled(text)


def _unwrapped(text: str) -> str:
    r"""Without \boldsymbol{}, \underline{} and their like around the whole, at most 3 of them."""
    for _ in range(3):
        text = text.strip()
        if not ((head := _WRAPPER.match(text)) and text.endswith("}")):
            return text
        depth, end = 1, 0
        for mark in _BRACE.finditer(text, head.end()):
            depth += (mark[0] == "{") - (mark[0] == "}")
            if depth == 0:
                end = mark.end()
                break
        if end != len(text):
            return text
        text = text[head.end() : -1]
    return text


def _command(match: re.Match[str]) -> str:
    found = match[0]
    return _COMMANDS.get(found, _COMMANDS.get("".join(found.split()), found))


def _words(match: re.Match[str]) -> str:
    inner = " ".join(match[2].split())
    if inner == "%":
        return "%"
    measured = inner in ("min", "deg") and not _ARGUMENT.match(match.string, match.end())
    if inner in _FUNCTIONS and not measured:
        return f"\\{inner} "
    if match[1] == "mathbf" and len(inner) == 1 and inner.isalpha():
        return notation.bold(inner)
    # the constants that printers set upright
    upright = match[1] == "mathrm" and inner in ("e", "i", "d")
    return inner if upright else f"\\text{{{inner}}}"
