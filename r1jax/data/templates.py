"""Prompt templates, and the two halves of a completion."""

from typing import NamedTuple

_R1_ZERO = (
    "The following is an exchange between User and Assistant. User poses a question; "
    "Assistant works it out. Assistant reasons privately first and then replies. "
    "Reasoning is written between <think> and </think>, the reply between <answer> and </answer>: "
    "<think> reasoning </think> <answer> reply </answer>. User: {question}. Assistant:"
)

TEMPLATES = {
    # the structure of DeepSeek-R1, arXiv:2501.12948, table 1, in our words
    "r1_zero": _R1_ZERO,
    "plain": "User: {question}\nAssistant:",
}


class Split(NamedTuple):
    """A completion in two; None for a half that is missing or blank."""

    reasoning: str | None
    answer: str | None


def render(template: str, question: str) -> str:
    """Returns the prompt for a question, which may hold braces.

    Raises:
      ValueError: if the template is unknown; names the known.
    """
    if template not in TEMPLATES:
        raise ValueError(f"template: got {template!r}, wanted one of {sorted(TEMPLATES)}")
    return TEMPLATES[template].replace("{question}", question)


def split_completion(text: str) -> Split:
    """Returns what stands before the last </think>, and what after it, both without their tags.

    The opening <think> may be missing, as when the prompt ended in it. A thought that never closes
    is all reasoning; a text without think tags is all answer.
    """
    head, closed, tail = text.rpartition("</think>")
    if not closed and text.lstrip().startswith("<think>"):
        head, tail = text, ""
    tail = tail.strip().removeprefix("<answer>").removesuffix("</answer>")
    return Split(head.strip().removeprefix("<think>").strip() or None, tail.strip() or None)
