r"""Mathematical text as people write it, brought to one spelling."""

import re
import unicodedata

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
_SIGNS = str.maketrans(
    {
        "\u2212": "-",
        "\u00d7": "\\times ",
        "\u00f7": "\\div ",
        "\u00b7": "\\cdot ",
        "\u22c5": "\\cdot ",
        "\u2215": "/",
        "\u2044": "/",
        "\u221e": "\\infty ",
        "\u03c0": "\\pi ",
        "\u222a": "\\cup ",
        "\u2264": "\\le ",
        "\u2265": "\\ge ",
        "\u2208": "\\in ",
        "\u00b1": "\\pm ",
        "\u2248": "\\approx ",
        "\u2205": "\\emptyset ",
    }
)
_COMMANDS = {
    "\\!": "",
    "{,}": ",",
    "\\,": " ",
    "\\;": " ",
    "\\:": " ",
    "\\ ": " ",
    "~": " ",
    "$": "",
    "\\$": "",
    "\\%": "%",
    "\\left": "",
    "\\right": "",
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
    r"\\(text(?:bf|it|rm|normal)?|mbox|hbox|math(?:rm|bf|it)|operatorname)\s*\{([^{}]*)\}"
)
_COLOUR = re.compile(r"\\(?:text)?color\s*\{[^{}]*\}")
_WRAPPER = re.compile(r"\\(?:boldsymbol|bm|pmb|underline|mathbf|mathrm|textbf|text)\s*\{")
_BRACE = re.compile(r"\\.|[{}]")
_BARE_FRACTIONS = (
    (re.compile(r"\\frac\s*(\d)"), r"\\frac{\1}"),
    (re.compile(r"\\frac\s*(\{[^{}]*\})\s*(\d)"), r"\\frac\1{\2}"),
    (re.compile(r"\\sqrt\s*(\d)"), r"\\sqrt{\1}"),
)
_ASCII_ROOT = re.compile(r"(?<![\\A-Za-z])sqrt\s*\(([^()]*)\)")
_ASCII_NAME = re.compile(r"(?<![\\A-Za-z])(pi|infty|sin|cos|tan|cot|log|ln)(?![A-Za-z])")
# names of functions that LaTeX or its users set as text
_NAMES = """gcd lcm max min sgn sign Re Im arccot sec csc cot lg sin cos tan log ln exp arcsin
    arccos arctan det dim deg"""
_FUNCTIONS = frozenset(_NAMES.split())
_ABOUT = re.compile(r"\A(?:\\approx|\\sim(?![a-z])|=)\s*")
_ENDS = " .,;:\u3002\u3001"


def _nfkc(text: str) -> str:
    """NFKC, but 10 with a superscript 2 is 10^{2}, not 102, and 2 with a small half is 2 1/2."""
    text = _RAISED.sub(lambda match: f"^{{{match[0].translate(_DIGITS)}}}", text)
    text = _LOWERED.sub(lambda match: f"_{{{match[0].translate(_DIGITS)}}}", text)
    text = _FRACTION.sub(_fraction, text)
    return _KEPT.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text).translate(_SIGNS)


def _fraction(match: re.Match[str]) -> str:
    above, _, below = unicodedata.normalize("NFKC", match[0]).partition("\u2044")
    return f"\\frac{{{above}}}{{{below}}}"


def tidy(text: str) -> str:
    r"""Returns one spelling of a mathematical text: NFKC, single spaces, \frac{1}{2}, no $ or stop.

    Gone are \left and \right, thin spaces, $ and \$, colours, what makes the whole bold or
    underlined, and a leading \approx or =; text
    in \mathrm, \mbox and their like becomes \text{}, and \text{} around the whole is removed.
    """
    if not text.isascii():
        text = _nfkc(text)
    text = text.strip()
    if len(text) > 4 and text.startswith("**") and text.endswith("**"):
        text = text[2:-2]
    if "\\" in text or "$" in text or "{,}" in text or "~" in text:
        text = _unwrapped(_COLOUR.sub("", _COMMAND.sub(_command, text)))
        text = _TEXT.sub(_words, text)
        if "\\frac" in text or "\\sqrt" in text:
            for pattern, new in _BARE_FRACTIONS:
                text = pattern.sub(new, text)
    text = _ASCII_NAME.sub(r"\\\1 ", _ASCII_ROOT.sub(r"\\sqrt{\1}", text))
    text = _ABOUT.sub("", " ".join(text.split()).rstrip(_ENDS).strip())
    if text.startswith("\\text{") and text.find("}") == len(text) - 1:
        text = text[len("\\text{") : -1].strip(_ENDS)
    return text


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
    if inner in _FUNCTIONS:
        return f"\\{inner} "
    # the constants that printers set upright
    upright = match[1] == "mathrm" and inner in ("e", "i", "d")
    return inner if upright else f"\\text{{{inner}}}"
