"""Plain data as bytes, between processes of which one is not trusted.

A code of our own: a pickle would run what the program likes, and json costs 9 ms of imports in
every sandbox.
"""

import builtins
import sys

# _collections_abc comes with the interpreter; typing and collections cost 10 ms
from _collections_abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any
else:
    Any = object

LENGTH = 4  # bytes of a length; every message and item is shorter than 4 GiB
_CONSTANTS = {b"N": None, b"T": True, b"F": False}
_COLLECTIONS = {b"l": list, b"t": tuple, b"S": set, b"z": frozenset}
_TAGS = {kind: tag for tag, kind in _COLLECTIONS.items()}
_DAY = ("year", "month", "day")
_CLOCK = ("hour", "minute", "second", "microsecond", "tzinfo")
# of the library's values: the module, how one is taken apart, and letters for its parts' types
_VALUES: dict[str, tuple[str, Callable[[Any], tuple], str]] = {
    "Fraction": ("fractions", lambda v: (v.numerator, v.denominator), "ii"),
    "Decimal": ("decimal", lambda v: (str(v),), "s"),  # exact, unlike a Decimal's float
    "timedelta": ("datetime", lambda v: (v.days, v.seconds, v.microseconds), "iii"),
    "timezone": ("datetime", lambda v: v.__getinitargs__(), "d|ds"),
    "date": ("datetime", lambda v: _parts(v, *_DAY), "iii"),
    "time": ("datetime", lambda v: _parts(v, *_CLOCK), "iiiiz"),
    "datetime": ("datetime", lambda v: _parts(v, *_DAY, *_CLOCK), "iiiiiiiz"),
}
_PARTS = {"i": ("int",), "s": ("str",), "d": ("timedelta",), "z": ("NoneType", "timezone")}


def _parts(value: Any, *names: str) -> tuple:
    return tuple(getattr(value, name) for name in names)


def size_of(number: int) -> bytes:
    """Returns a length as it goes before a message or an item."""
    return number.to_bytes(LENGTH, "big")


def _apart(value: Any) -> tuple[str, tuple] | None:
    """Name and parts of a value of the library's, or None if it is none: exact types only.

    A time's zone must be a fixed one; its fold, which says nothing then, is lost.
    """
    kind = type(value)
    if kind.__name__ not in _VALUES:
        return None
    module, take_apart, wanted = _VALUES[kind.__name__]
    if getattr(sys.modules.get(module), kind.__name__, None) is not kind:
        return None
    parts = take_apart(value)
    return (kind.__name__, parts) if _fit(parts, wanted) else None


def _fit(parts: Any, wanted: str) -> bool:
    if type(parts) is not tuple:
        return False
    kinds = [type(part).__name__ for part in parts]
    return any(
        len(kinds) == len(form)
        and all(kind in _PARTS[letter] for kind, letter in zip(kinds, form, strict=True))
        for form in wanted.split("|")
    )


def _together(value: Any) -> Any:
    """The value of the library's with a name and parts that came from who knows where."""
    name, parts = value if type(value) is tuple and len(value) == 2 else ("", ())
    module, _, wanted = _VALUES[name]
    if not _fit(parts, wanted):
        raise ValueError(f"wanted the parts of a {name}")
    return getattr(__import__(module), name)(*parts)


def _plain(value: Any) -> Any:
    """An exact built-in with the content of a value, or the value itself where nothing is lost."""
    exact: tuple[Any, ...] = (int, float, complex, str, bytes)
    for kind in exact:
        if isinstance(value, kind):
            return kind(value)
    if isinstance(value, bytearray):
        return bytes(value)
    kind = type(value)
    if kind.__module__.partition(".")[0] == "numpy" and callable(getattr(value, "tolist", None)):
        return value.tolist()
    if kind.__module__ == "collections" and kind.__name__ == "deque":
        return list(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return tuple(value)
    # a class of the program's own keeps its methods: it goes by handle
    if kind.__module__ in ("builtins", "collections"):
        for base in (list, tuple, set, frozenset, dict):
            if isinstance(value, base):
                return base(value)
    return value


def pack(value: Any, refer: Callable[[Any], int]) -> bytes:
    """Returns plain data as bytes.

    Args:
      value: None, bool, int, float, complex, str, bytes, range, a built-in type, or list, tuple,
        set, frozenset, dict of these, or a Fraction, Decimal, date, time, datetime, timedelta or
        timezone; the standard library's subclasses and numpy's types lose their class.
      refer: gives the number under which anything else is known, or raises TypeError.

    Raises:
      RecursionError: if value is nested too deep, or holds itself.
    """
    parts: list[bytes] = []

    def put(value: Any) -> None:
        kind = type(value)
        if kind is int:
            raw = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
            parts.extend((b"i", size_of(len(raw)), raw))
        elif kind is str:
            raw = value.encode("utf-8", "surrogatepass")
            parts.extend((b"s", size_of(len(raw)), raw))
        elif value is None or kind is bool:
            parts.append(b"N" if value is None else b"T" if value else b"F")
        elif kind is float:
            raw = value.hex().encode()
            parts.extend((b"f", size_of(len(raw)), raw))
        elif kind in _TAGS:
            parts.extend((_TAGS[kind], size_of(len(value))))
            for item in value:
                put(item)
        elif kind is dict:
            parts.extend((b"d", size_of(len(value))))
            for key, item in value.items():
                put(key)
                put(item)
        elif kind is bytes:
            parts.extend((b"b", size_of(len(value)), value))
        elif kind is complex:
            parts.append(b"c")
            put(value.real)
            put(value.imag)
        elif kind is type and vars(builtins).get(value.__name__) is value:
            raw = value.__name__.encode()
            parts.extend((b"n", size_of(len(raw)), raw))
        elif kind is range:
            parts.append(b"r")
            for item in (value.start, value.stop, value.step):
                put(item)
        elif (apart := _apart(value)) is not None:
            parts.append(b"v")
            put(apart)
        elif (simple := _plain(value)) is not value:
            put(simple)
        else:
            parts.extend((b"h", size_of(refer(value))))

    put(value)
    return b"".join(parts)


def unpack(data: bytes, resolve: Callable[[int], Any]) -> Any:
    """Returns what `pack` packed; resolve gives the object known under a number.

    Raises:
      ValueError: if data is not what pack makes.
      RecursionError: if it is nested too deep.
    """
    at = 0

    def take(count: int) -> bytes:
        nonlocal at
        if at + count > len(data):
            raise ValueError(f"wanted {count} bytes at {at}, got {len(data) - at}")
        at += count
        return data[at - count : at]

    def size() -> int:
        return int.from_bytes(take(LENGTH), "big")

    def get() -> Any:
        tag = take(1)
        if tag in _CONSTANTS:
            return _CONSTANTS[tag]
        if tag == b"i":
            return int.from_bytes(take(size()), "big", signed=True)
        if tag == b"f":
            return float.fromhex(take(size()).decode())
        if tag == b"s":
            return take(size()).decode("utf-8", "surrogatepass")
        if tag == b"b":
            return take(size())
        if tag in _COLLECTIONS:
            return _COLLECTIONS[tag]([get() for _ in range(size())])
        if tag == b"d":
            return {get(): get() for _ in range(size())}
        if tag == b"c":
            return complex(get(), get())
        if tag == b"r":
            return range(get(), get(), get())
        if tag == b"n":
            kind = vars(builtins)[take(size()).decode()]
            if type(kind) is type:
                return kind
        if tag == b"v":
            return _together(get())
        if tag == b"h":
            return resolve(size())
        raise ValueError(f"unknown tag {tag!r} at {at}")

    try:
        value = get()
    except (TypeError, ArithmeticError, KeyError, MemoryError) as error:
        raise ValueError(f"malformed data: {error}") from error
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes too many")
    return value


def plain_only(value: Any) -> int:
    """For `pack` and `unpack` where nothing goes by handle."""
    raise TypeError(f"not plain data: {value!r}")
