"""A process that renders chat templates, one request a line, within limits of its own.

python -m r1jax.text.renderer reads requests as JSON lines and writes one JSON object for each:
{"text": ...}, or {"kind": a key of `chat.KINDS`, "reason": ...}.

A template is foreign code. Jinja's sandbox keeps it from Python's internals, but not from endless
work, some of it within one call of C that nothing in the process can interrupt. So the kernel ends
the process, by SIGPROF after SECONDS of processor time, and no allocation goes beyond MEMORY.
"""

import datetime
import json
import resource
import signal
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

SECONDS = 1  # processor time of one request
MEMORY = 2**29  # bytes of address space
LETTERS = 10_000_000  # of a rendered conversation
FAILURES = (
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)


class _Refused(jinja2.TemplateError):
    """The template calls raise_exception."""


class _Generation(Extension):
    """{% generation %}: marks what the assistant said, for training; the text stays as it is."""

    tags = {"generation"}  # noqa: RUF012  # Jinja's own type

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value,
        ensure_ascii=ensure_ascii,
        indent=indent,
        separators=separators,
        sort_keys=sort_keys,
    )


def _refuse(reason: str) -> NoReturn:
    raise _Refused(reason)


@lru_cache(maxsize=64)
def _compiled(source: str) -> jinja2.Template:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
    )
    environment.globals["raise_exception"] = _refuse
    environment.filters["tojson"] = _to_json  # Jinja's own escapes for HTML
    return environment.from_string(source)


def answer(source: str, values: Mapping[str, Any] | None, now: float) -> dict[str, str]:
    """Returns the reply to a request.

    Args:
      source: Jinja text.
      values: what the template sees; None only compiles it.
      now: the time that strftime_now tells, in seconds since 1970.
    """
    try:
        template = _compiled(source)
    except jinja2.TemplateError as error:
        return {"kind": "syntax", "reason": str(error)}
    except (*FAILURES, MemoryError) as error:
        return {"kind": "syntax", "reason": repr(error)}
    if values is None:
        return {"text": ""}
    moment = datetime.datetime.fromtimestamp(now)
    try:
        text = template.render(**values, strftime_now=moment.strftime)
    except _Refused as error:
        return {"kind": "refusal", "reason": str(error)}
    except MemoryError:
        return {"kind": "limit", "reason": f"{MEMORY >> 20} MiB of memory"}
    except (jinja2.TemplateError, *FAILURES) as error:
        return {"kind": "failure", "reason": repr(error)}
    if len(text) > LETTERS:
        return {"kind": "limit", "reason": f"{LETTERS} letters of text"}
    return {"text": text}


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        reply = answer(**request)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.stdout.buffer.write(json.dumps(reply).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
