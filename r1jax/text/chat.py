"""Chat templates: Jinja programs that come with a tokenizer, run in a sandbox."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from r1jax.config import UserError

Message = Mapping[str, str]  # {"role": "user", "content": "..."}


# what a foreign program may do wrong
FAILURES = (
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    AttributeError,
    RecursionError,
)


class _Generation(Extension):
    """{% generation %}: marks what the assistant said, for training; the text stays as it is."""

    tags = {"generation"}  # noqa: RUF012  # Jinja's own type

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _to_json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _refuse(reason: str) -> NoReturn:
    raise jinja2.TemplateError(reason)


class ChatTemplate:
    """Turns messages into the text that a chat model was trained on.

    The program is foreign code: it runs in Jinja's immutable sandbox, which keeps it from Python's
    internals and from endless ranges.
    """

    def __init__(self, source: str, *, bos: str, eos: str):
        """Compiles a template.

        Args:
          source: Jinja text, as in tokenizer_config.json or chat_template.jinja.
          bos, eos: texts of these tokens, which templates write themselves; "" for none.

        Raises:
          UserError: if it is no Jinja.
        """
        self.source, self._tokens = source, {"bos_token": bos, "eos_token": eos}
        environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation]
        )
        environment.globals["raise_exception"] = _refuse
        environment.filters["tojson"] = _to_json  # Jinja's own escapes for HTML
        try:
            self._template = environment.from_string(source)
        except jinja2.TemplateError as error:
            raise UserError(f"chat template: no Jinja: {error}") from error

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """Returns the text of a conversation.

        Args:
          messages: each with a role and a content.
          add_generation_prompt: end where the assistant speaks.

        Raises:
          UserError: if the template refuses the messages, or fails on them; says why.
        """
        try:
            return self._template.render(
                messages=list(messages), add_generation_prompt=add_generation_prompt, **self._tokens
            )
        except (jinja2.TemplateError, *FAILURES) as error:
            raise UserError(
                f"chat template: refuses the roles {[m.get('role') for m in messages]}: {error!r}"
            ) from error
