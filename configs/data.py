r"""Blocks for `config.task`: sources of questions, and the fields of well-known data sets.

A function named after a data set takes the path of one of its files, as its authors or the usual
evaluation suites have them, plain or gzipped; a copy with other fields takes `rows`, or an update:

    c.task = data.task(
        easy=data.files(train=data.gsm8k("gsm8k/train.jsonl"), weight=1.0),
        hard=data.files(
            train=data.math_train("math/train.jsonl"), test=data.math500("test.jsonl"), weight=3.0
        ),
        decontamination=data.decontamination(aime24=data.aime24("aime24/test.jsonl")),
    )

Sources have names, so that the command line reaches them:
--config.task.sources.easy.files.train.path=elsewhere.jsonl
"""

from typing import Any

Block = dict[str, Any]

# the last \boxed{...} of a solution, with up to five levels of braces in it
_BRACES = r"[^{}]"
for _ in range(5):
    _BRACES = rf"(?:[^{{}}]|\{{{_BRACES}*\}})"
BOXED = rf"(?s).*\\(?:boxed|fbox)\s*\{{({_BRACES}+)\}}"

COMPLETE = (
    "Complete this Python function. Give the whole function, with its imports, in one block of "
    "code.\n\n```python\n{prompt}\n```"
)
WRITE = (
    "{text}\n\nGive the function in one block of Python code. It must pass these tests:\n\n"
    "```python\n{test_list}\n```"
)
PROGRAM = (
    "{problem}\n\nWrite a Python program, in one block of code, that reads standard input and "
    "writes the answer to standard output."
)


def task(
    *, decontamination: Block | None = None, curriculum: Block | None = None, **sources: Block
) -> Block:
    """`config.task` with sources by name."""
    return dict(sources=sources, decontamination=decontamination, curriculum=curriculum)


def _source(weight: float, **given: Block) -> Block:
    return dict(weight=weight, world=None, gym=None, files=None, requests=None) | given


def files(
    *, train: Block, test: Block | None = None, validation: int = 0, weight: float = 1.0
) -> Block:
    """A source that is read from files; validation is drawn from `train` and held out."""
    block = dict(train=train, test=test, validation=validation)
    return _source(weight, files=block)


def world(*, weight: float = 1.0, **fields: Any) -> Block:
    """The synthetic world as a source."""
    return _source(weight, world=fields)


def gym(*, weight: float = 1.0, **fields: Any) -> Block:
    """A task of reasoning-gym as a source."""
    return _source(weight, gym=fields)


def requests(*, weight: float = 1.0, **fields: Any) -> Block:
    """Requests to an assistant of the synthetic world as a source; reward models judge them."""
    return _source(weight, requests=fields)


def decontamination(*, held_out: bool = True, n: int = 10, **against: Block) -> Block:
    """Takes out training questions that share n words in a row with evaluation sets, by name."""
    return dict(against=against, held_out=held_out, n=n)


def curriculum(
    pass_rates: str, *, lowest: float, highest: float, unmeasured: str = "error"
) -> Block:
    """Keeps the training problems whose measured pass rate lies within bounds."""
    return dict(pass_rates=pass_rates, lowest=lowest, highest=highest, unmeasured=unmeasured)


def rows(path: str, **fields: Any) -> Block:
    """A file with the fields "question" and "answer", and what is otherwise about it."""
    usual = dict(
        format="jsonl",
        question="question",
        question_cut=(),
        options="",
        options_seed=None,
        answer="answer",
        answer_as="letter",
        answer_pattern="",
        answer_words={},
        stratum="",
        subject="",
        kind="maths",
        reference={},
        constants={},
        filters=(),
        limit=0,
    )
    return dict(path=path) | usual | fields


def gsm8k(path: str) -> Block:
    return rows(path, answer_pattern=r"####\s*(.+)$")


def math_train(path: str) -> Block:
    """MATH's training split as rllm has it, answers taken out of the solutions (all but four)."""
    answered = dict(field="answer", op="not_one_of", value=(None, ""))
    return rows(path, question="problem", stratum="difficulty", subject="type", filters=(answered,))


def math_solutions(path: str) -> Block:
    """MATH with the authors' fields: the answer is the last box of the solution."""
    return rows(
        path,
        question="problem",
        answer="solution",
        answer_pattern=BOXED,
        stratum="level",
        subject="type",
    )


def math500(path: str) -> Block:
    return rows(path, question="problem", stratum="level", subject="subject")


def aime24(path: str) -> Block:
    return rows(path, question="problem")


def amc(path: str) -> Block:
    return rows(path, question="problem")


def olympiadbench(path: str) -> Block:
    """The text-only questions with open answers; some have several, all of which are wanted."""
    return rows(
        path,
        question="{context?}\n{question}",
        answer="final_answer",
        stratum="answer_type",
        subject="subfield",
    )


def cmath(path: str, *, question: str = "question") -> Block:
    """CMATH as DeepSeek-Math has its test split; in the authors' files the question is "input"."""
    return rows(path, question=question, answer="golden", stratum="grade")


def svamp(path: str) -> Block:
    return rows(path, question="{Body} {Question}", answer="Answer", subject="Type")


def aqua(path: str) -> Block:
    return rows(path, options="options", answer="correct", kind="choice")


def mmlu(path: str) -> Block:
    return rows(path, options="choices", subject="subject", kind="choice")


def agieval(path: str) -> Block:
    """A set of AGIEval with options; the few questions with several right ones are left out."""
    single = dict(field="label", op="one_of", value=("A", "B", "C", "D", "E"))
    return rows(
        path,
        question="{passage?}\n{question}",
        options="options",
        answer="label",
        kind="choice",
        filters=(single,),
    )


def agieval_cloze(path: str) -> Block:
    """A set of AGIEval without options."""
    return rows(path, question="{passage?}\n{question}")


def humaneval(path: str) -> Block:
    return rows(
        path,
        question=COMPLETE,
        answer="canonical_solution",
        kind="code",
        reference=dict(prompt="prompt", test="test", entry_point="entry_point"),
    )


def mbpp(path: str, *, first: int = 11, last: int = 510) -> Block:
    """MBPP's tasks `first` to `last`: 11-510 are the test split, 511-600 validation, 601-974 train.

    The question shows the tests, as is usual: the function's name is nowhere else.
    """
    split = (
        dict(field="task_id", op="at_least", value=first),
        dict(field="task_id", op="at_most", value=last),
    )
    return rows(
        path,
        question=WRITE,
        answer="code",
        kind="code",
        filters=split,
        reference=dict(asserts="test_list", setup="test_setup_code"),
    )


def code_contests(path: str) -> Block:
    """Problems of CodeContests with `tests` = {"inputs": [...], "outputs": [...]}, as rllm's."""
    return rows(
        path,
        question=PROGRAM,
        answer="",
        kind="code",
        reference=dict(inputs="tests.inputs", outputs="tests.outputs"),
    )


def knights_knaves(path: str) -> Block:
    return rows(
        path,
        question="quiz",
        answer="solution_text",
        stratum="n_people",
        kind="knights_knaves",
        reference=dict(names="names", knights="solution"),
    )
