"""Prompts from questions and conversations, by our templates or the model's own."""

import dataclasses
import json
import re
from collections.abc import Sequence
from typing import NamedTuple

from r1jax.config import UserError
from r1jax.text.chat import Message
from r1jax.text.thought import CLOSE, OPEN
from r1jax.text.tokenizer import Tokenizer

_R1_ZERO = (
    "The following is an exchange between User and Assistant. User poses a question; "
    "Assistant works it out. Assistant reasons privately first and then replies. "
    "Reasoning is written between <think> and </think>, the reply between <answer> and </answer>: "
    "<think> reasoning </think> <answer> reply </answer>. User: {question}. Assistant:"
)

CHAT = "chat"  # the tokenizer's own
TEMPLATES = {
    # the structure of DeepSeek-R1, arXiv:2501.12948, table 1, in our words
    "r1_zero": _R1_ZERO,
    "plain": "User: {question}\nAssistant:",
    # DeepSeek-R1's turns; the later release opens the thought itself
    "r1": "<｜User｜>{question}<｜Assistant｜>",
    "r1_think": "<｜User｜>{question}<｜Assistant｜><think>\n",
}
MARKS = ("<｜User｜>", "<｜Assistant｜>")  # must be tokens of their own
_OPENS = re.compile(r"(?P<speaker>\s*(?:Assistant:|<｜Assistant｜>))(?P<thought><think>\n)?$")
_CHAT = """{{- BOS -}}
{%- for message in messages -%}
{%- if message['role'] == 'system' and loop.first -%}
{{- message['content'] + BETWEEN -}}
{%- elif message['role'] == 'user' -%}
{{- ('' if loop.first or loop.previtem['role'] == 'system' else BETWEEN) -}}
{{- BEFORE + message['content'] + CLOSING -}}
{%- elif message['role'] == 'assistant' and not loop.first -%}
{%- set answer = message['content'].split('</think>')[-1] -%}
{%- set thought = message['reasoning_content'] | default('', true) -%}
{%- if not loop.last -%}
{{- SPEAKER + answer + END -}}
{%- elif thought -%}
{{- SPEAKER + '<think>' + thought + '</think>' + answer + END -}}
{%- else -%}
{{- SPEAKER + message['content'] + END -}}
{%- endif -%}
{%- else -%}
{{- raise_exception('got a message of ' + message['role'] + ', wanted one of the user or the \
assistant in turn, or of the system at the start') -}}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- SPEAKER + THOUGHT -}}
{%- endif -%}
"""
END = "<｜end▁of▁sentence｜>"  # how the end token is shown between the turns of "r1"


@dataclasses.dataclass(frozen=True)
class Example:
    """A question and the reply that is shown to it.

    Attributes:
      question: as a user would put it.
      reply: in the form that is asked for.
    """

    question: str
    reply: str


@dataclasses.dataclass(frozen=True)
class PromptConfig:
    """How questions are put.

    Attributes:
      template: one of TEMPLATES, or "chat" for the tokenizer's own.
      instruction: written behind every question; "" for nothing.
      examples: earlier turns that show what is wanted, each put as the question will be. In "plain"
        and "r1_zero" a line break ends them, in "r1" the end token, in a chat its template.
    """

    template: str
    instruction: str
    examples: tuple[Example, ...]

    def __post_init__(self):
        if self.template not in (*TEMPLATES, CHAT):
            raise UserError(
                f"template: got {self.template!r}, wanted one of {sorted([*TEMPLATES, CHAT])}"
            )
        if self.examples and self.template.endswith("_think"):
            raise UserError(
                f"template {self.template!r} opens a thought, so its {len(self.examples)} examples "
                f"would begin within one; take {self.template.removesuffix('_think')!r}"
            )

    def asked(self, question: str) -> Message:
        """The turn that asks it."""
        return {"role": "user", "content": question + self.instruction}

    def shown(self) -> list[Message]:
        """The turns of the examples."""
        turns: list[Message] = []
        for example in self.examples:
            reply = {"role": "assistant", "content": example.reply}
            turns += [self.asked(example.question), reply]
        return turns


class Prompt(NamedTuple):
    """What a model is given.

    Attributes:
      text: without BOS, unless a chat template wrote it.
      ids: of the text, after BOS where the tokenizer wants it; `END` is its end token.
    """

    text: str
    ids: list[int]

    @property
    def opens_thought(self) -> bool:
        """Whether the completion begins within <think>."""
        return self.text.rstrip().endswith(OPEN)

    @property
    def closes_thought(self) -> bool:
        """Whether the completion begins behind </think>, as of templates that forbid a thought."""
        return self.text.rstrip().endswith(CLOSE)


def render(template: str, question: str) -> str:
    """Returns the text of a prompt for a question, which may hold braces.

    Raises:
      UserError: if the template is unknown; names the known.
    """
    if template not in TEMPLATES:
        raise UserError(f"template: got {template!r}, wanted one of {sorted([*TEMPLATES, CHAT])}")
    return TEMPLATES[template].replace("{question}", question)


def prompt(tokenizer: Tokenizer, style: PromptConfig, question: str) -> Prompt:
    """Returns the prompt that puts a question.

    Raises:
      UserError: if the template is unknown, or not one for this tokenizer.
    """
    if style.template == CHAT:
        return conversation(tokenizer, [*style.shown(), style.asked(question)])
    turns = [(e.question, e.reply) for e in style.examples]
    shown = [render(style.template, style.asked(q)["content"]) + reply for q, reply in turns]
    text = render(style.template, style.asked(question)["content"])
    check_marks(tokenizer, style.template)
    if not _marks(style.template):
        return verbatim(tokenizer, "".join(f"{turn}\n" for turn in shown) + text)
    whole = verbatim(tokenizer, "")
    for turn in shown:
        whole = Prompt(
            f"{whole.text}{turn}{END}", [*whole.ids, *tokenizer.encode(turn), tokenizer.eos_id]
        )
    return Prompt(whole.text + text, [*whole.ids, *tokenizer.encode(text)])


def verbatim(tokenizer: Tokenizer, text: str) -> Prompt:
    """Returns a text as it stands, after BOS where the tokenizer wants it."""
    bos = [] if tokenizer.bos_id is None else [tokenizer.bos_id]
    return Prompt(text, [*bos, *tokenizer.encode(text)])


def conversation(tokenizer: Tokenizer, messages: Sequence[Message]) -> Prompt:
    """Returns the prompt for the assistant's next turn, by the tokenizer's own chat template.

    Raises:
      UserError: if it has none, or the template refuses the messages.
    """
    if tokenizer.chat is None:
        raise UserError(
            f"template {CHAT!r}: this tokenizer has no chat template; take one of "
            f"{sorted(TEMPLATES)}"
        )
    text = tokenizer.chat.render(messages, add_generation_prompt=True)
    return Prompt(text, tokenizer.encode(text))


def check_marks(tokenizer: Tokenizer, template: str) -> None:
    """Checks that the marks of a template of ours are tokens of their own.

    Raises:
      UserError: names those that the tokenizer lacks.
    """
    spelt = [m for m in _marks(template) if len(tokenizer.encode(m)) != 1]
    if spelt:
        raise UserError(f"template {template!r} needs the tokens {spelt}, which this model lacks")


def _marks(template: str) -> list[str]:
    return [m for m in MARKS if m in render(template, "")]


def as_chat(template: str, *, bos: bool) -> str:
    """Returns a template of ours as Jinja, for programs that know only chats.

    Turns are put as `prompt` puts its examples. A system message stands before the first. The
    thought of a reply is shown while the reply is the last message, and dropped once another
    follows, as DeepSeek-R1's own template does; it is `reasoning_content` of the message, or what
    its content has up to </think>.

    Args:
      template: one of TEMPLATES.
      bos: whether a text begins with BOS, which a chat template has to write itself.

    Raises:
      UserError: if the template is unknown, or "chat", which is Jinja already.
    """
    before, after = render(template, "\0").split("\0")
    match = _OPENS.search(after)
    assert match is not None
    marked = bool(_marks(template))
    parts = {
        "BEFORE": before,
        "CLOSING": after[: match.start()],
        "SPEAKER": match["speaker"],
        "THOUGHT": match["thought"] or "",
        "BETWEEN": "" if marked else "\n",
    }
    values = {name: json.dumps(text, ensure_ascii=False) for name, text in parts.items()}
    values |= {"BOS": "bos_token" if bos else "''", "END": "eos_token" if marked else "''"}
    return re.sub("|".join(values), lambda name: values[name[0]], _CHAT)
