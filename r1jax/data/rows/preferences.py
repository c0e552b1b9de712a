"""What reward models learn from: pairs of replies, or single replies with a label, as token ids."""

import hashlib
import itertools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from r1jax.config import UserError
from r1jax.data.files.jsonl import numbered_jsonl
from r1jax.text import templates
from r1jax.text.templates import PromptConfig
from r1jax.text.thought import split_completion
from r1jax.text.tokenizer import Tokenizer

Kind = Literal["pairs", "labels"]
Sees = Literal["summary", "all"]
HUMAN, ASSISTANT = "\n\nHuman:", "\n\nAssistant:"  # the turns of HH-RLHF


class Preference(NamedTuple):
    """One row of a file.

    Attributes:
      where: "FILE:LINE".
      position: of the row in its file, from 0.
      question: what was asked, earlier turns included.
      replies: of a pair the chosen and the rejected one, else the one that is labelled; in full,
        thoughts included.
      label: of a single reply 1.0 for safe, 0.0 for unsafe; of a pair 1.0.
    """

    where: str
    position: int
    id: str
    question: str
    replies: tuple[str, ...]
    label: float


class Encoded(NamedTuple):
    """A row as the reward model sees it.

    Attributes:
      ids: of each reply behind its prompt, EOS last.
      lengths: tokens of each reply as it is seen, without prompt and EOS, before any cut.
    """

    row: Preference
    ids: tuple[list[int], ...]
    lengths: tuple[int, ...]

    @property
    def longest(self) -> int:
        return max(map(len, self.ids))


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise UserError(f"{where}: {name}: got {value!r:.60} in {sorted(row)}, wanted text")
    return value


def pair_of(row: Mapping[str, Any], where: str) -> tuple[str, tuple[str, ...]]:
    """Returns what was asked and the chosen and the rejected reply.

    Raises:
      UserError: names the place of a row that is no pair.
    """
    names = ("chosen", "rejected")
    if "question" in row:
        return _text(row, "question", where), tuple(_text(row, n, where) for n in names)
    whole = [_text(row, n, where) for n in names]
    # five of the 2,312 test dialogues on harmlessness part before the last reply: then what follows
    # the last turn that both share is the reply
    alike = (a == b for a, b in zip(*whole, strict=False))
    shared = whole[0][: sum(itertools.takewhile(bool, alike))]
    before, turn, _ = shared.rpartition(ASSISTANT)
    if not turn:
        raise UserError(
            f"{where}: no question, and no {ASSISTANT!r} that chosen {whole[0][:40]!r} and "
            f"rejected {whole[1][:40]!r} share"
        )
    # one turn is a plain question; of several, who spoke must stay
    alone = before.count(HUMAN) == 1 and ASSISTANT not in before
    question = (before.removeprefix(HUMAN) if alone else before).strip()
    return question, tuple(text[len(before) + len(turn) :].strip() for text in whole)


def turns_of_user(question: str) -> list[str]:
    """Returns what the user says in a question of `pair_of`, turn by turn."""
    turns = (t.partition(ASSISTANT)[0].strip() for t in f"\n\n{question}".split(HUMAN))
    return [turn for turn in turns if turn] or [""]


def read_preferences(path: str | Path, kind: Kind) -> list[Preference]:
    """Reads JSON lines, plain or gzipped.

    Args:
      path: the file.
      kind: "pairs" have question, chosen and rejected, or as in HH-RLHF (arXiv:2204.05862) chosen
        and rejected alone, dialogues that share all but the last reply; "labels" have question,
        response and safe.

    Raises:
      UserError: names file and line of a row that is none; also if there is no row.
    """
    found: list[Preference] = []
    for number, row in numbered_jsonl(Path(path)):
        where, label = f"{path}:{number}", 1.0
        if kind == "pairs":
            question, replies = pair_of(row, where)
        else:
            question, replies = _text(row, "question", where), (_text(row, "response", where),)
            if not isinstance(row.get("safe"), bool):
                raise UserError(f"{where}: safe: got {row.get('safe')!r:.60}, wanted true or false")
            label = float(row["safe"])
        name = str(row.get("id", number))
        found.append(Preference(where, len(found), name, question, replies, label))
    if not found:
        raise UserError(f"{path}: empty, wanted at least one line")
    return found


def seen(text: str, sees: Sees) -> str:
    """Returns what the model sees of a reply: all of it, or the summary behind its thought alone.

    DeepSeek-R1 judges helpfulness by the summary and harmlessness by everything (arXiv:2501.12948,
    section 3.1). A thought that never closed has no summary: it is seen as nothing.
    """
    return text.strip() if sees == "all" else split_completion(text, opened=False).answer or ""


def ids_of(tokenizer: Tokenizer, style: PromptConfig, question: str, reply: str) -> list[int]:
    """Returns prompt, reply and EOS.

    Raises:
      UserError: if the template opens a thought, which would be there twice.
    """
    asked = templates.prompt(tokenizer, style, question)
    if asked.opens_thought:
        raise UserError(
            f"prompt.template {style.template!r} ends in <think>, but a reward model sees replies "
            "that write it themselves; take another template"
        )
    return [*asked.ids, *tokenizer.encode(reply), tokenizer.eos_id]


def encode(
    rows: Sequence[Preference],
    tokenizer: Tokenizer,
    *,
    style: PromptConfig,
    sees: Sees,
    longest: int,
    too_long: Literal["error", "drop", "cut_left"],
) -> tuple[list[Encoded], dict[str, int]]:
    """Turns rows into ids.

    Args:
      longest: tokens of a reply behind its prompt, EOS included.
      too_long: what becomes of a row with more: an error, left out, or cut at its beginning.

    Returns:
      The rows that are kept, in order, and counts: `dropped` and `cut` as too long, and `same`,
      left out because what is seen of both replies is the same.

    Raises:
      UserError: names the first row that is too long, if that is an error.
    """
    kept, told = [], {"dropped": 0, "cut": 0, "same": 0}
    for row in rows:
        texts = [seen(reply, sees) for reply in row.replies]
        if len(texts) > len(set(texts)):
            told["same"] += 1
            continue
        ids = tuple(ids_of(tokenizer, style, row.question, text) for text in texts)
        lengths = tuple(len(tokenizer.encode(text)) for text in texts)
        most = max(map(len, ids))
        if most > longest and too_long == "error":
            raise UserError(f"{row.where}: {most} tokens, the longest bucket has {longest}")
        told["dropped"] += most > longest and too_long == "drop"
        told["cut"] += most > longest and too_long == "cut_left"
        if most <= longest or too_long == "cut_left":
            kept.append(Encoded(row, tuple(each[-longest:] for each in ids), lengths))
    return kept, told


def _drawn(name: str, position: int) -> bytes:
    return hashlib.sha256(f"{name} {position}".encode()).digest()


def hold_out(rows: Sequence[Encoded], count: int) -> tuple[list[Encoded], list[Encoded]]:
    """Splits into what is trained on and what is held out, whole conversations each.

    They are drawn by a hash of where they first stand in the file, the same in every run, until at
    least `count` rows of two of them are out. What begins with the same turn of the user is one
    conversation, for HH-RLHF has several turns of some: none is on both sides.

    Raises:
      UserError: if that leaves nothing to train on.
    """
    by_question: dict[str, list[Encoded]] = defaultdict(list)
    for row in rows:
        by_question[turns_of_user(row.row.question)[0]].append(row)
    order = sorted(by_question.values(), key=lambda g: _drawn("validation", g[0].row.position))
    held: list[Encoded] = []
    for groups, group in enumerate(order):
        if len(held) >= count and groups >= 2:
            break
        held += group
    out = {row.row.position for row in held}
    train = [row for row in rows if row.row.position not in out]
    if not train:
        raise UserError(f"validation {count}: {len(rows)} rows leave nothing to train on")
    return train, held


def _bin(length: int) -> int:
    return math.floor(2 * math.log2(max(length, 1)))


def balance_lengths(rows: Sequence[Encoded]) -> list[Encoded]:
    """Returns pairs whose chosen and rejected replies are distributed alike in length.

    DeepSeek-R1 balances lengths over its pairs so that length earns nothing (arXiv:2501.12948,
    section 3.1; how is not published). Here pairs are binned by the lengths of their shorter and
    their longer reply, each bin wider than the last by sqrt(2). Of every cell as many pairs stay
    whose chosen reply is the longer one as pairs whose chosen reply is the shorter one; a hash of
    the position draws them. Pairs of equal lengths all stay.
    """
    cells: dict[tuple[int, int], dict[bool, list[Encoded]]] = defaultdict(lambda: defaultdict(list))
    kept: set[int] = set()
    for row in rows:
        chosen, rejected = row.lengths
        if chosen == rejected:
            kept.add(row.row.position)
            continue
        low, high = sorted(row.lengths)
        cells[_bin(low), _bin(high)][chosen > rejected].append(row)
    for sides in cells.values():
        n = min(len(sides[True]), len(sides[False]))
        for side in sides.values():
            side.sort(key=lambda row: _drawn("balance", row.row.position))
            kept |= {row.row.position for row in side[:n]}
    return [row for row in rows if row.row.position in kept]
