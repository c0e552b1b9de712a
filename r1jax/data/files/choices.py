"""Options of a multiple choice: where a row has them, in which order, and which one is right."""

import hashlib
import re
import string
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from r1jax.config import UserError
from r1jax.data.files.fields import as_text, is_absent, rendered
from r1jax.data.files.paths import lookup, opened, optional

Answer = Literal["letter", "from_0", "from_1", "text"]
LETTERS = string.ascii_uppercase


class Options(NamedTuple):
    """The options of a row.

    Attributes:
      texts: in the order in which the question shows them, without labels of their own.
      labels: what the row calls each: a letter, a number, the key of an object or a field.
    """

    texts: list[str]
    labels: list[str]


def option_fields(spec: str) -> list[str]:
    """Returns the fields that `options` names: one, or several with commas between them."""
    return [field.strip() for field in spec.split(",")]


def _of_object(value: dict[str, Any], what: str) -> tuple[list[Any], list[str]]:
    """Values and keys of {"A": ..., "B": ...} in order, or {"text": [...], "label": [...]}."""
    if isinstance(value.get("text"), list) and isinstance(value.get("label"), list):
        texts, labels = value["text"], [str(label) for label in value["label"]]
        if len(texts) != len(labels) or len(set(labels)) < len(labels):
            raise UserError(f"{what}: got {len(texts)} texts, labels {labels}, wanted one each")
        return texts, labels
    # what all keys begin with: option_a, option_b
    start = next((i for i, at in enumerate(zip(*value, strict=False)) if len({*at}) > 1), 0)
    short = {key[start:].strip().upper(): key for key in value}
    # keys that Parquet gives to every row since some have them
    filled = {name: key for name, key in short.items() if value[key] is not None}
    order = sorted(filled, key=lambda name: (len(name), name))
    n = len(order)
    rows = (list(LETTERS[:n]), [str(i) for i in range(n)], [str(i + 1) for i in range(n)])
    if order not in rows or len(short) < len(value):
        raise UserError(
            f"{what}: got an object with the keys {sorted(value)[:8]}, wanted A, B, C, ..., or "
            "numbers from 0 or 1"
        )
    return [value[filled[name]] for name in order], [filled[name] for name in order]


def _of_fields(
    row: dict[str, Any], fields: Sequence[str], where: str
) -> tuple[list[Any], list[str]]:
    values = [optional(row, field, where) for field in fields]
    absent = [f.endswith("?") and is_absent(v) for f, v in zip(fields, values, strict=True)]
    n = len(fields) if True not in absent else absent.index(True)
    if not all(absent[n:]):
        raise UserError(f"{where}: {fields[n]!r} is absent, and an option behind it is there")
    return values[:n], [field.removesuffix("?") for field in fields[:n]]


def _unlabelled(texts: list[str]) -> list[str]:
    """Options without the letters that stand before them: "A)", "(A)", or "A." before all."""
    pairs = list(zip(LETTERS, texts, strict=False))
    dotted = all(re.match(rf"{letter}[.:\u3001\uff0e\uff1a]\s*\S", text) for letter, text in pairs)
    pattern = r"^{0}[.:\u3001\uff0e\uff1a]\s*" if dotted else r"^\(?{0}[)\uff09]\s*"
    return [re.sub(pattern.format(letter), "", text, count=1) for letter, text in pairs]


def options_of(row: dict[str, Any], spec: str, where: str) -> Options:
    """Returns the options of a row, in its own order.

    Args:
      row: as read.
      spec: a field, or several with commas between them; one that ends in "?" may be absent, as
        may those behind it. One field holds a list, an object {"A": ..., "B": ...} in the order of
        its keys, an object {"text": [...], "label": [...]}, or a text with such JSON in it.
      where: the row, for the error.

    Raises:
      UserError: if there are fewer than 2 options or more than 26, or one is no text.
    """
    if spec in row or "," not in spec:
        what = f"{where}: field {spec!r}"
        value = lookup(row, spec, where)
        value = opened(value, what) if isinstance(value, str) else value
        if isinstance(value, dict):
            values, labels = _of_object(value, what)
        elif isinstance(value, list):
            values, labels = value, list(LETTERS[: len(value)])
        else:
            raise UserError(f"{what} is {value!r:.60}, wanted a list or an object of options")
    else:
        what = f"{where}: fields {spec!r}"
        values, labels = _of_fields(row, option_fields(spec), where)
    if not 2 <= len(values) <= 26:
        raise UserError(f"{what}: got {values!r:.60}, wanted 2 to 26 options")
    texts = [as_text(value, spec, where, joint=", ").strip() for value in values]
    return Options(_unlabelled(texts), labels)


def _with_text(answer: Any, options: Options, where: str) -> int:
    text = rendered(answer, f"{where}: is").strip()
    same = [i for i, option in enumerate(options.texts) if text == option]
    same = same or [i for i, option in enumerate(_unlabelled(options.texts)) if text == option]
    if len(same) != 1:
        raise UserError(
            f"{where}: {text[:60]!r} is the text of {len(same)} options, wanted one of "
            f"{[option[:30] for option in options.texts]}"
        )
    return same[0]


def _whole(answer: Any) -> int | None:
    """A whole number, also 2.0: pandas has it so in a column with gaps."""
    if isinstance(answer, float) and answer.is_integer():
        return int(answer)
    return answer if isinstance(answer, int) and not isinstance(answer, bool) else None


def _with_number(answer: Any, options: Options, first: int, where: str) -> int:
    digits = isinstance(answer, str) and re.fullmatch(r"\s*\d{1,2}\s*", answer)
    number = int(answer) if digits else _whole(answer)
    last = len(options.texts) - 1 + first
    if number is None or not first <= number <= last:
        raise UserError(f"{where}: answer {answer!r}, wanted {first} to {last}")
    return number - first


def _with_label(answer: Any, options: Options, where: str) -> int:
    letters, number = LETTERS[: len(options.texts)], _whole(answer)
    text = answer.strip() if isinstance(answer, str) else "" if number is None else str(number)
    if text in options.labels:
        return options.labels.index(text)
    if number is not None:
        if not 0 <= number < len(letters):
            hint = "; answer_as 'from_1' counts from 1" if number == len(letters) else ""
            raise UserError(f"{where}: answer {number}, wanted 0 to {len(letters) - 1}{hint}")
        return number
    match = re.fullmatch(r"\(?([A-Za-z])[).]?", text)
    if match is None or match[1].upper() not in letters:
        names = options.labels if set(options.labels) - set(letters) else list(letters)
        hint = ""
        if text in options.texts:
            hint = "; answer_as 'text' takes the text of an option"
        elif text.isdigit():
            hint = "; answer_as 'from_0' or 'from_1' takes a number"
        raise UserError(f"{where}: answer {answer!r}, wanted one of {names}{hint}")
    return letters.index(match[1].upper())


def _place(answer: Any, options: Options, form: Answer, where: str) -> int:
    """The position of the option that an answer names."""
    if form == "text":
        return _with_text(answer, options, where)
    if form == "letter":
        return _with_label(answer, options, where)
    return _with_number(answer, options, int(form == "from_1"), where)


def right(answer: Any, options: Options, form: Answer, where: str) -> list[int]:
    """Returns the positions of the options that are right: one, or more where answer is a list.

    Args:
      answer: as the row has it.
      options: of the row.
      form: "letter" takes a letter, what the row calls an option, or an integer from 0; "from_0"
        and "from_1" take the option's number; "text" its text.
      where: the row, for the error.

    Raises:
      UserError: if it names no option, or a text that two options share.
    """
    answers = answer if isinstance(answer, list) else [answer]
    if not answers:
        raise UserError(f"{where}: answer [], wanted an option")
    return [_place(one, options, form, where) for one in answers]


def shuffled(options: Options, seed: int, question: str) -> list[int]:
    """Returns an order of the options, drawn by a seed and what the row says.

    It does not depend on the row's place in the file, so filters and limits leave it alone.
    """

    def lot(i: int) -> bytes:
        return hashlib.sha256("\0".join([str(seed), question, options.texts[i]]).encode()).digest()

    return sorted(range(len(options.texts)), key=lot)
