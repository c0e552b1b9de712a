"""Frozen, checked configuration: what a ConfigDict becomes at the door of main.

Defaults live in configs/ only: every field here is required, an unknown key is an error that names
the nearest.
"""

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

T = TypeVar("T")


class UserError(ValueError):
    """Input that its giver can mend: a key, a file, a checkpoint. main tells it in one line."""


class MissingPackage(UserError, ImportError):
    """An optional package that this input needs; the message names the extra that installs it."""


@dataclasses.dataclass(frozen=True)
class Range:
    """The numbers that a key takes, beside its type; of a list, how many it may have.

    `build` holds every value against the range of its field: `lr: Annotated[float, Range(0)]`.

    Attributes:
      low, high: the ends, which belong to it unless `inside`.
      inside: the ends that do not: "low", "high" or "both".
    """

    low: float | int
    high: float | int = math.inf
    inside: str = ""

    def __contains__(self, value: Any) -> bool:
        number = len(value) if isinstance(value, tuple) else value
        above = number > self.low if self.inside in ("low", "both") else number >= self.low
        below = number < self.high if self.inside in ("high", "both") else number <= self.high
        return above and below

    def __str__(self) -> str:
        low = f"{'above' if self.inside in ('low', 'both') else 'at least'} {self.low}"
        high = f"{'below' if self.inside in ('high', 'both') else 'at most'} {self.high}"
        return low if self.high == math.inf else f"{low} and {high}"


Seed = Annotated[int, Range(0, 2**32 - 1)]
Count = Annotated[int, Range(1)]
Size = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0, inside="low")]
NonNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
Within = Annotated[float, Range(0, 1, inside="both")]
Decay = Annotated[float, Range(0, 1, inside="high")]
Counts = Annotated[tuple[Count, ...], Range(1)]


def _fail(path: str, message: str) -> typing.NoReturn:
    raise UserError(f"{path}: {message}")


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, float) and not math.isfinite(value):
        _fail(path, f"got {value}, wanted a finite number")
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        _fail(path, f"got {value!r} ({type(value).__name__}), wanted {kind.__name__}")
    return value


def _value(kind: Any, value: Any, path: str) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        if value is None:
            return None if type(None) in args else _fail(path, "got None, wanted a value")
        kinds = [a for a in args if a is not type(None)]
        return _value(kinds[0], value, path) if len(kinds) == 1 else build(kinds, value, path)
    if origin is Annotated:
        return _within(args[1], _value(args[0], value, path), path)
    if origin is typing.Literal:
        return value if value in args else _fail(path, f"got {value!r}, wanted one of {list(args)}")
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            _fail(path, f"got {value!r}, wanted a list")
        return tuple(_value(args[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is dict:
        return {str(k): _value(args[1], v, f"{path}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(kind):
        return build(typing.cast(type, kind), value, path)
    return _scalar(kind, value, path)


def _within(limits: Range, value: Any, path: str) -> Any:
    of = " of them" if isinstance(value, tuple) else ""
    return value if value in limits else _fail(path, f"got {value!r}, wanted {limits}{of}")


def check(config: Any) -> None:
    """Raises UserError unless each field lies in its range; for configs made without `build`."""
    for name, hint in typing.get_type_hints(type(config), include_extras=True).items():
        if typing.get_origin(hint) is Annotated:
            _within(typing.get_args(hint)[1], getattr(config, name), name)


def build(kind: type[T] | list[type[T]], values: Any, path: str = "config") -> T:
    """Builds a frozen dataclass (with nested ones) from a ConfigDict or dict.

    Args:
      kind: the dataclass; of several, the one whose fields are the keys given.
      values: mapping with exactly its fields; ints are taken where floats are wanted.
      path: where we are, for the error.

    Raises:
      UserError: names what is unknown (with the nearest known key), missing, or of the wrong type;
        cross-field checks of `__post_init__` speak with the same path.
    """
    if not isinstance(values, Mapping) and not hasattr(values, "items"):
        _fail(path, f"got {values!r}, wanted a group of keys")
    given, kinds = list(values.keys()), kind if isinstance(kind, list) else [kind]
    fields = {k: [f.name for f in dataclasses.fields(typing.cast(Any, k))] for k in kinds}
    nearest = min(kinds, key=lambda k: len(set(fields[k]) ^ set(given)))
    known = fields[nearest]
    unknown, missing = [k for k in given if k not in known], [k for k in known if k not in given]
    if unknown or missing:
        near = {k: difflib.get_close_matches(k, known, 1) for k in unknown}
        hint = "".join(f"; did you mean {m[0]!r} for {k!r}?" for k, m in near.items() if m)
        names = [k.__name__ for k in kinds]
        of = f" of {nearest.__name__}, the nearest of {names}" if len(names) > 1 else ""
        _fail(path, f"unknown keys {unknown}, missing keys {missing}{of}{hint}")
    hints = typing.get_type_hints(nearest, include_extras=True)
    built = {k: _value(hints[k], values[k], f"{path}.{k}") for k in known}
    try:
        return nearest(**built)
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """Returns {"grpo.lr": 1e-4, ...} of a nested dataclass or dict, for diffs and summaries."""
    items: Mapping = config if isinstance(config, Mapping) else dataclasses.asdict(config)
    flat: dict[str, Any] = {}
    for key, value in items.items():
        flat.update(
            flatten(value, f"{prefix}{key}.")
            if isinstance(value, Mapping)
            else {f"{prefix}{key}": value}
        )
    return flat
