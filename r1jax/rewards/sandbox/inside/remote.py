"""Calls between an examiner and the program it does not trust, which lives in another process.

Only plain data travels (see `packing`). All else stays where it is and is known to the examiner by
a `Handle`. An operand of a test never goes to a returned object: handles have no arithmetic and no
order, and equal only themselves, so a class whose __eq__ always agrees gains nothing.
"""

import builtins
import operator
import select
import sys

# _collections_abc and _socket come with the interpreter; typing, collections and socket cost 10 ms
from _collections_abc import Callable, Iterator
from _socket import socket as Socket
from types import ModuleType

from r1jax.rewards.sandbox.inside.packing import LENGTH, Any, pack, plain_only, size_of, unpack

PROGRAM = "program.py"
OVERRUN = "output limit"
EXITED = "the program exits"
UNREADABLE = "an answer that cannot be read"
MESSAGE = 300  # characters of an exception's text that travel


class Gone(BaseException):
    """The program has ended or broken off; a BaseException, so that no test can catch it."""


class Channel:
    """Messages over a stream socket.

    Args:
      socket: connected.
      other: a socket whose having something to read means that nothing more will come, or None.
      budget: bytes that may come in all, or None.
    """

    def __init__(self, socket: Socket, *, other: Socket | None, budget: int | None):
        self.socket = socket
        self.other = other
        self.budget = budget

    def send(self, data: bytes) -> None:
        """Raises Gone if nobody listens any more."""
        try:
            self.socket.sendall(size_of(len(data)) + data)
        except OSError as error:
            raise Gone("the program ended before its tests did") from error

    def receive(self) -> bytes:
        """Raises Gone at the end of the stream, and for more bytes than the budget holds."""
        size = int.from_bytes(self._exactly(LENGTH), "big")
        if self.budget is not None:
            self.budget -= size
            if self.budget < 0:
                raise Gone(OVERRUN)
        return self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            if self.other is not None:
                ready, _, _ = select.select([self.socket, self.other], [], [])
                if self.socket not in ready:
                    raise Gone("the program ended before its tests did")
            try:
                chunk = self.socket.recv(min(size - len(data), 1 << 20))
            except OSError as error:
                raise Gone("the program ended before its tests did") from error
            if not chunk:
                raise Gone("the program ended before its tests did")
            data += chunk
        return bytes(data)


class Handle:
    """An object of the program's, seen from the examiner."""

    __slots__ = ("_number", "_remote")
    _number: int
    _remote: "Remote"

    def __init__(self, remote: "Remote", number: int):
        object.__setattr__(self, "_remote", remote)
        object.__setattr__(self, "_number", number)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._remote.ask("call", self, args, kwargs)

    def __getattr__(self, name: str) -> Any:
        return self._remote.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._remote.ask("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._remote.ask("item", self, key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._remote.ask("put", self, key, value)

    def __len__(self) -> int:
        return self._remote.ask("len", self)

    def __bool__(self) -> bool:
        return self._remote.ask("bool", self)

    def __str__(self) -> str:
        return self._remote.ask("str", self)

    def __repr__(self) -> str:
        return self._remote.ask("repr", self)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._remote.ask("iter", self)
        while True:
            try:
                item = self._remote.ask("next", iterator)
            except StopIteration:
                return
            yield item


class Remote:
    """The examiner's side: asks the program over a channel, one question at a time.

    Attributes:
      gone: why no more answers come, or "".
    """

    def __init__(self, channel: Channel):
        self.channel = channel
        self.handles: dict[int, Handle] = {}
        self.gone = ""

    def _refer(self, value: Any) -> int:
        if isinstance(value, Handle):
            return value._number
        raise TypeError(f"a test cannot hand a {type(value).__name__} to the program")

    def _resolve(self, number: int) -> Handle:
        return self.handles.setdefault(number, Handle(self, number))

    def name(self, name: str) -> Any:
        """Returns what the program calls so; NameError if nothing."""
        return self.ask("name", None, name)

    def ask(self, operation: str, *operands: Any) -> Any:
        """Returns the answer, raises the built-in exception that the program raised, or Gone."""
        request = pack((operation, *operands), self._refer)
        if self.gone:
            raise Gone(self.gone)
        try:
            try:  # noqa: SIM105  # contextlib costs 2 ms to import
                self.channel.send(request)
            except Gone:  # what it said before it ended is still to be read
                pass
            reply = unpack(self.channel.receive(), self._resolve)
            raised, answer, changed = reply
        except (ValueError, TypeError, RecursionError) as error:
            self.gone = UNREADABLE
            raise Gone(self.gone) from error
        except Gone as error:
            self.gone = str(error)
            raise
        if raised:
            if exits := _exits(answer):
                self.gone = f"{EXITED}: {exits}"
                raise Gone(self.gone)
            raise _exception(answer)
        if changed is not None and operation == "call":
            for sent, now in zip(operands[1], changed, strict=False):
                _overwrite(sent, now)
        return answer


def _overwrite(sent: Any, now: Any) -> None:
    """Shows in an argument what the program did to it."""
    if type(sent) is not type(now):
        return
    if isinstance(sent, list):
        sent[:] = now
    elif isinstance(sent, dict | set):
        sent.clear()
        sent.update(now)


def _exits(answer: Any) -> str:
    """The name of what was raised if it is no Exception: except Exception must not catch it."""
    names: Any = answer[0] if type(answer) is tuple and answer else ()
    if type(names) is not tuple or "Exception" in names or "BaseException" not in names:
        return ""
    return names[0] if type(names[0]) is str else ""


def _exception(answer: Any) -> Exception:
    names, text = answer if type(answer) is tuple and len(answer) == 2 else ((), "")
    for name in names if type(names) is tuple else ():
        kind = getattr(builtins, name, None) if type(name) is str else None
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                return kind(str(text)[:MESSAGE])
            except TypeError:  # UnicodeDecodeError and its like want more than a text
                break
    return RuntimeError(str(text)[:MESSAGE])


def describe(error: BaseException, filename: str) -> str:
    """Returns the text of an exception, cut short, and the last line of the file that it passed."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return str(error)[:MESSAGE] + (f" (line {line})" if line else "")


def raised(error: BaseException) -> bytes:
    """Returns the reply of a program that raised an exception."""
    names = tuple(kind.__name__ for kind in type(error).__mro__)
    return pack((True, (names, describe(error, PROGRAM)), None), plain_only)


def serve(channel: Channel, module: ModuleType) -> None:
    """The program's side: answers questions about a module until the examiner hangs up."""
    objects: dict[int, Any] = {}
    numbers: dict[int, int] = {}

    def refer(value: Any) -> int:
        # objects keeps every value alive, so that its id stays its own
        number = numbers.setdefault(id(value), len(numbers))
        objects[number] = value
        return number

    def name(_: None, wanted: str) -> Any:
        if wanted not in vars(module):
            raise NameError(f"the program does not define {wanted}")
        return vars(module)[wanted]

    operations: dict[str, Callable] = {
        "name": name,
        "get": getattr,
        "set": setattr,
        "item": operator.getitem,
        "put": operator.setitem,
        "len": len,
        "bool": bool,
        "str": str,
        "repr": repr,
        "iter": iter,
        "next": next,
        "call": lambda target, args, kwargs: target(*args, **kwargs),
    }
    while True:
        try:
            request = channel.receive()
        except Gone:
            return
        operation, *operands = unpack(request, objects.__getitem__)
        before = pack(operands[1], refer) if operation == "call" else b""
        try:
            answer = operations[operation](*operands)
            changed = operands[1] if before and pack(operands[1], refer) != before else None
            reply = pack((False, answer, changed), refer)
        except BaseException as error:  # whatever a program raises is its answer
            reply = raised(error)
        sys.stdout.flush()
        channel.send(reply)
