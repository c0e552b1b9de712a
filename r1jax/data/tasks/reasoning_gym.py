"""Procedural problems from the optional package reasoning_gym.

Only its questions and gold answers are used. Its score_answer is never called: for several tasks it
evaluates the answer as Python, which would execute what a model wrote.
"""

import dataclasses
import hashlib
import json
from typing import Any, NamedTuple

from r1jax.config import MissingPackage, UserError
from r1jax.data.tasks.problems import Problem


class Task(NamedTuple):
    """The judge of a task's answers, and the keys of its metadata that tell how hard an item is."""

    kind: str
    stratum: tuple[str, ...]


# Left out, though simple: prime_factorization, whose gold 2 * 3 has the value of the unfactored 6;
# coin_flip, power_function and number_format, whose golds are rounded floats; knights_knaves, which
# calls them angels and devils too.
TASKS = {
    "basic_arithmetic": Task("maths", ("num_terms", "num_digits")),
    "chain_sum": Task("maths", ("num_terms", "num_digits")),
    "decimal_chain_sum": Task("maths", ("num_terms", "num_digits")),
    "products": Task("maths", ("num_terms", "num_digits")),
    "fraction_simplification": Task("maths", ()),
    "gcd": Task("maths", ("num_terms",)),
    "lcm": Task("maths", ()),
    "count_bits": Task("maths", ()),
    "count_primes": Task("maths", ()),
    "dice": Task("maths", ()),
    "simple_equations": Task("maths", ()),
    "number_sequence": Task("maths", ("complexity",)),
    "gsm_symbolic": Task("maths", ()),
    "aiw": Task("maths", ("task_type",)),
    "leg_counting": Task("maths", ("num_animals",)),
    "letter_counting": Task("maths", ("span_length",)),
    "rectangle_count": Task("maths", ("num_rectangles",)),
    "circuit_logic": Task("maths", ()),
    "self_reference": Task("maths", ()),
    "number_sorting": Task("text", ("numbers",)),
    "spell_backward": Task("text", ("word_len",)),
    "word_sequence_reversal": Task("text", ("num_words",)),
    "word_sorting": Task("text", ("num_words",)),
    "caesar_cipher": Task("text", ("num_words",)),
    "string_manipulation": Task("text", ("string_length",)),
    "isomorphic_strings": Task("text", ("string_length",)),
    "syllogism": Task("text", ()),
    "needle_haystack": Task("text", ()),
    "family_relationships": Task("text", ("family_size",)),
    "countdown": Task("countdown", ()),
}

# the package draws item i from Random(seed + i): neighbouring seeds would share all but one item
_SEED_STRIDE = 2**32


def _dataset(task: str, size: int, seed: int, options: dict[str, Any]) -> Any:
    try:
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise MissingPackage(
            "reasoning_gym is missing: pip install 'r1jax[tasks]' "
            "(it builds C code: wants a C compiler and Python's headers)"
        ) from error
    make, config_type = DATASETS[task]
    known = {field.name for field in dataclasses.fields(config_type)} - {"seed", "size"}
    if unknown := sorted(set(options) - known):
        raise UserError(f"{task}: unknown options {unknown}, wanted some of {sorted(known)}")
    config = config_type(size=size, seed=seed * _SEED_STRIDE, **options)
    try:
        config.validate()
    except AssertionError as error:
        raise UserError(f"{task}: options {options} refused: {error}") from error
    if task == "basic_arithmetic" and "/" in config.operators:
        # 26 of 3,000 golds are not the value of their expression, 1,976 without parentheses
        raise UserError(f"{task}: its golds round quotients, set operators without '/'")
    return make(config=config)


def _reference(task: str, metadata: dict[str, Any]) -> dict[str, Any]:
    """What the judge needs beside the answer; countdown's questions ask to use all numbers."""
    if task != "countdown":
        return {}
    return {"numbers": metadata["numbers"], "target": metadata["target"], "use_all": True}


class ReasoningGymSource:
    """Problems of one task, a pure function of (task, seed, options, index); see `ProblemSource`.

    Ids are TASK-OPTIONS/SEED:INDEX, with eight hex digits of the options' sha256: with others, the
    questions are others.

    Different seeds draw from disjoint random streams; tasks with few distinct items still repeat
    some, so a held-out set must be checked for questions of the training set.
    """

    def __init__(self, task: str, *, size: int, seed: int, options: dict[str, Any]):
        """Makes the source.

        Args:
          task: a key of TASKS.
          size: problems, 1 to 2**32.
          seed: from 0.
          options: fields of the task's own config, such as {"min_terms": 2}.

        Raises:
          UserError: if the task or an option is unknown or refused, or size or seed out of range.
          ImportError: if the package is missing; names the extra that brings it.
        """
        if task not in TASKS:
            raise UserError(f"task: got {task!r}, wanted one of {sorted(TASKS)}")
        if not 1 <= size <= _SEED_STRIDE or seed < 0:
            raise UserError(f"{task}: got size {size}, seed {seed}, wanted 1 to 2**32, >= 0")
        self.task, self.size, self.seed = task, size, seed
        self._items = _dataset(task, size, seed, options)
        listed = json.dumps(options, sort_keys=True, default=str)
        self._name = f"{task}-{hashlib.sha256(listed.encode()).hexdigest()[:8]}/{seed}"

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Problem:
        if not 0 <= index < self.size:
            raise IndexError(f"{self.task}: got index {index}, wanted 0 to {self.size - 1}")
        item = self._items[index]
        keys = TASKS[self.task].stratum
        return Problem(
            id=f"{self._name}:{index}",
            question=item["question"].strip(),
            answer=str(item["answer"]).strip(),
            stratum=" ".join(f"{key}={item['metadata'][key]}" for key in keys),
            subject=self.task,
            kind=TASKS[self.task].kind,
            reference=_reference(self.task, item["metadata"]),
        )
