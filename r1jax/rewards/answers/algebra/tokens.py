r"""Words of a tidied formula: numbers, letters with their marks, commands and signs."""

import re
from typing import NamedTuple

from r1jax.config import UserError

END = "the end"
_TOKEN = re.compile(
    r"(?P<space>\s+)"
    r"|(?P<number>\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<command>\\[A-Za-z]+|\\[{}|])"
    r"|(?P<letter>[A-Za-z\u03bc\u03a9])"
    r"|(?P<sign>\*\*|[-+*/^_(){}\[\]|!',=°%])"
)
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?!\d)(?:\.\d+)?")
_GREEK = """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau
    upsilon phi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"""
GREEK = frozenset(_GREEK.split())
# two shapes of one letter
_VARIANTS = {f"var{name}": name for name in ("epsilon", "theta", "rho", "sigma", "phi", "kappa")}
_ACCENTS = """vec hat bar overline dot ddot tilde widehat widetilde overrightarrow mathcal
    boldsymbol"""
ACCENTS = frozenset(_ACCENTS.split())
_SPELLINGS = {"**": "^", "\\{": "(", "\\}": ")", "\\lbrack": "[", "\\rbrack": "]"}
_SPELLINGS |= {"\\lvert": "|", "\\rvert": "|", "\\cdot": "*", "\\times": "*", "\\div": "/"}
_SPELLINGS |= {"\\ast": "*", "\\lparen": "(", "\\rparen": ")", "\\tg": "\\tan", "\\ctg": "\\cot"}


class Token(NamedTuple):
    """A word of a formula; kind is "number", "letter", "command", "sign" or "end"."""

    kind: str
    text: str


def tokens(text: str) -> list[Token]:
    """Returns the words of a formula, the end last.

    Raises:
      UserError: if something in it is none of ours.
    """
    words, at, depth = [], 0, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UserError(f"cannot read {text[at : at + 20]!r}")
        kind, word = str(match.lastgroup), match[0]
        # inside brackets a comma may be between arguments
        if kind == "number" and not depth and (long := _THOUSANDS.match(text, at)):
            match, word = long, long[0].replace(",", "")
        at = match.end()
        if kind == "space":
            continue
        word = _SPELLINGS.get(word, word)
        if kind == "command":
            name = _VARIANTS.get(word[1:], word[1:])
            kind, word = ("letter", f"\\{name}") if name in GREEK else (kind, word)
            kind = kind if word.startswith("\\") else "sign"
        depth += (word == "(") - (word == ")")
        words.append(Token(kind, word))
    return [*words, Token("end", END)]


class Cursor:
    """A place in the words of a formula."""

    def __init__(self, words: list[Token]):
        self.words, self.at = words, 0

    def peek(self, ahead: int = 0) -> str:
        return self.words[min(self.at + ahead, len(self.words) - 1)].text

    def kind(self, ahead: int = 0) -> str:
        return self.words[min(self.at + ahead, len(self.words) - 1)].kind

    def skip(self, count: int = 1) -> None:
        self.at += count

    def split_number(self) -> None:
        """Cuts the first digit off the next word."""
        kind, text = self.words[self.at]
        if kind == "number" and text.isdigit() and len(text) > 1:
            self.words[self.at : self.at + 1] = [Token(kind, text[0]), Token(kind, text[1:])]

    def take(self, *wanted: str) -> str:
        """The next word if it is wanted, else ""."""
        text = self.peek()
        if text == END or text not in wanted:
            return ""
        self.at += 1
        return text

    def expect(self, wanted: str) -> None:
        if self.peek() != wanted:
            raise UserError(f"wanted {wanted}, got {self.peek()}")
        self.at += 1
