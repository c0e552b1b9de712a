r"""Blocks for `config.task`: sources of questions, and the fields of well-known data sets.

A function named after a data set takes the path of one of its files, as its authors or the usual
evaluation suites have them; the path's suffix says the format. A copy with other fields takes
`rows`, or an update: data.gpqa("gpqa.csv") | dict(subject=""). docs/data.md shows a row of each.

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


ASKED = (
    "{question}\n{starter_code?}\n\nWrite Python code, in one block of code. Unless a function is "
    "asked for, it is a program that reads standard input and writes to standard output."
)
FUNCTION = "{question}\n\nGive the function in one block of Python code."
COUNTDOWN = (
    "Make an expression that equals {target}. Use the numbers {nums:, }, each exactly once, "
    "and the operations + - * /."
)
# what DAPO-Math-17k puts around each problem
DAPO = (
    r"^Solve the following math problem step by step\.[^\n]*\n+",
    r"\n+Remember to put your answer on its own line after \"Answer:\"\.\s*$",
)
# what Eurus-2-RL-Data (PRIME) puts behind each problem
PRIME = (r"\n+Present the answer in LaTex format: \\boxed\{Your answer\}\s*$",)
PRIME_CODE = (r"\n+Write Python code to solve the problem\. Present the code in(?s:.*)$",)
FORMATS = ("jsonl", "json", "csv", "tsv", "parquet", "array_record")


def format_of(path: str) -> str:
    """The format that a path's suffix says; "jsonl" where it says none."""
    name = path.removesuffix(".gz")
    return next((format for format in FORMATS if name.endswith(f".{format}")), "jsonl")


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
        format=format_of(path),
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
    """GSM8K: a worked solution that ends in #### and the answer."""
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
    """MATH-500."""
    return rows(path, question="problem", stratum="level", subject="subject")


def aime24(path: str) -> Block:
    """AIME 2024 as Qwen's evaluation has it."""
    return rows(path, question="problem")


def amc(path: str) -> Block:
    """AMC; answers are numbers."""
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
    """SVAMP: a story and its question in two fields."""
    return rows(path, question="{Body} {Question}", answer="Answer", subject="Type")


def aqua(path: str) -> Block:
    """AQuA: options carry their letters."""
    return rows(path, options="options", answer="correct", kind="choice")


def mmlu(path: str) -> Block:
    """MMLU: the answer is a letter, or counts from 0."""
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
    """HumanEval: the head of a function, and code with check(candidate)."""
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
    """Knights and knaves as Logic-RL has them."""
    return rows(
        path,
        question="quiz",
        answer="solution_text",
        stratum="n_people",
        kind="knights_knaves",
        reference=dict(names="names", knights="solution"),
    )


def deepscaler(path: str) -> Block:
    """DeepScaleR, one JSON array; OpenR1-Math and others have the fields too."""
    return rows(path, question="problem")


def deepmath(path: str) -> Block:
    """DeepMath-103K."""
    return rows(path, answer="final_answer", stratum="difficulty", subject="topic")


def verl(path: str) -> Block:
    """A file that verl's preprocessing wrote: the prompt is a list of messages."""
    return rows(
        path,
        question="prompt.-1.content",
        answer="reward_model.ground_truth",
        subject="data_source",
    )


def dapo_math(path: str) -> Block:
    """DAPO-Math-17k, without the instruction around each problem."""
    return verl(path) | dict(question="prompt.0.content", question_cut=DAPO)


def prime_math(path: str) -> Block:
    """The problems of Eurus-2-RL-Data (PRIME) with answers."""
    maths = dict(field="ability", op="one_of", value=("math",))
    return verl(path) | dict(question_cut=PRIME, filters=(maths,))


def prime_code(path: str) -> Block:
    """The problems of Eurus-2-RL-Data (PRIME) with tests, which are JSON in a text."""
    code = dict(field="ability", op="one_of", value=("code",))
    tests = "reward_model.ground_truth"
    return verl(path) | dict(
        question_cut=PRIME_CODE,
        answer="",
        kind="code",
        filters=(code,),
        reference=dict(
            inputs=f"{tests}.inputs", outputs=f"{tests}.outputs", fn_name=f"{tests}.fn_name?"
        ),
    )


def taco(path: str) -> Block:
    """TACO and APPS: tests are JSON in a text, of programs or (fn_name) of functions."""
    tested = dict(field="input_output", op="not_one_of", value=(None, "", "{}"))
    return rows(
        path,
        question=ASKED,
        answer="",
        kind="code",
        stratum="difficulty",
        filters=(tested,),
        reference=dict(
            inputs="input_output.inputs",
            outputs="input_output.outputs",
            fn_name="input_output.fn_name?",
            starter="starter_code?",
        ),
    )


def verifiable_coding(path: str) -> Block:
    """open-r1's verifiable coding problems: a list of tests, each an object."""
    case = "verification_info.test_cases.*"
    return rows(
        path,
        question="prompt",
        answer="",
        kind="code",
        reference=dict(
            inputs=f"{case}.input",
            outputs=f"{case}.output",
            types=f"{case}.type?",
            fn_name=f"{case}.fn_name?",
        ),
    )


def livecodebench(path: str) -> Block:
    """LiveCodeBench with its public tests, a list of objects as JSON in a text."""
    case = "public_test_cases.*"
    return rows(
        path,
        question="{question_content}\n{starter_code?}",
        answer="",
        kind="code",
        stratum="difficulty",
        subject="platform",
        reference=dict(
            inputs=f"{case}.input",
            outputs=f"{case}.output",
            types=f"{case}.testtype",
            fn_name="metadata.func_name?",
            starter="starter_code?",
        ),
    )


def kodcode(path: str) -> Block:
    """KodCode: the tests are a module of pytest."""
    return rows(
        path, question=FUNCTION, answer="solution", kind="code", reference=dict(pytest="test")
    )


def mbpp_sanitized(path: str) -> Block:
    """MBPP's sanitized problems, one JSON array."""
    return rows(
        path,
        question=WRITE.replace("{text}", "{prompt}"),
        answer="code",
        kind="code",
        reference=dict(asserts="test_list", setup="test_imports"),
    )


def asserted(path: str) -> Block:
    """Problems of yours whose asserts stand in one text."""
    return rows(path, question=FUNCTION, answer="", kind="code", reference=dict(asserts="test"))


def countdown(path: str) -> Block:
    """TinyZero's countdown; all numbers are to be used."""
    return rows(
        path,
        question=COUNTDOWN,
        answer="",
        kind="countdown",
        reference=dict(numbers="nums", target="target"),
        constants=dict(use_all=True),
    )


def gpqa(path: str, *, seed: int = 0) -> Block:
    """GPQA: a column with the right answer and three with wrong ones, shuffled by a seed."""
    wrong = ", ".join(f"Incorrect Answer {i}" for i in (1, 2, 3))
    return rows(
        path,
        question="Question",
        options=f"Correct Answer, {wrong}",
        options_seed=seed,
        answer="Correct Answer",
        subject="High-level domain",
        kind="choice",
    )


def sciq(path: str, *, seed: int = 0) -> Block:
    """SciQ: as GPQA, with names of its own."""
    return rows(
        path,
        options="correct_answer, distractor1, distractor2, distractor3",
        options_seed=seed,
        answer="correct_answer",
        kind="choice",
    )


def medqa(path: str) -> Block:
    """MedQA: the options are an object."""
    return rows(path, options="options", answer="answer_idx", kind="choice")


def ceval(path: str) -> Block:
    """C-Eval: a column for each option."""
    return rows(path, options="A, B, C, D", kind="choice")


def cmmlu(path: str) -> Block:
    """CMMLU: as C-Eval, with capitals."""
    return ceval(path) | dict(question="Question", answer="Answer")


def medmcqa(path: str) -> Block:
    """MedMCQA as the hub has it: `cop` counts from 0; the authors' files count from 1."""
    return rows(
        path,
        options="opa, opb, opc, opd",
        answer="cop",
        answer_as="from_0",
        subject="subject_name",
        kind="choice",
    )


def arc(path: str) -> Block:
    """ARC and CommonsenseQA: an object with texts and labels; some labels are numbers."""
    return rows(path, options="choices", answer="answerKey", kind="choice")


def mmlu_pro(path: str) -> Block:
    """MMLU-Pro: up to ten options."""
    return rows(path, options="options", subject="category", kind="choice")


def strategyqa(path: str) -> Block:
    """StrategyQA: true and false, to be answered by yes and no."""
    return rows(path, kind="text", answer_words={"true": "yes", "false": "no"})
