"""A small row of each data set that configs/data.py and configs/conversations.py know, our own."""

import json
from typing import Any

INTRO = """# Data sets and their fields

Written by `COMMAND`; do not edit it by hand.

Files are read as users have them: JSON lines, a JSON array, CSV or TSV (all perhaps gzipped),
Parquet, array_record, or a dataset directory of Hugging Face. A block of the config says which
field is what; no code is needed. Each section below has a row, the call of
[`configs/data.py`](../configs/data.py) that reads it, the options that the call stands for, and
what comes of the row. The rows are made up. All keys are in [configs.md](configs.md#filesource).

- A field is a dotted path: `tests.inputs`, `prompt.0.content` (or `prompt[0].content`),
  `tests.*.input` for a list with the input of each test. A path that goes on into a text opens it
  as JSON.
- In a template, `{context?}` may be absent, and the items of `{nums:, }` stand with commas
  between them. In `reference` and `options`, a path that ends in `?` may be absent.
- True and false become "true" and "false", unless `answer_words` has other words for them.
  Numbers have no exponent: 2.50 of a decimal column is "2.50", 145.0 is "145.0". The items of a
  list are joined with ", ". NaN and null are refused.
- No row is skipped but by `filters`. A row that does not fit is an error, which names the key,
  the file and the row, and shows a right row.
"""
BETWEEN = """## Conversations

Fine-tuning (`config.data` of [`configs/sft.py`](../configs/sft.py)) reads rows of ours with
`sft.rows`, and other files with the calls of
[`configs/conversations.py`](../configs/conversations.py); their keys are in
[configs.md](configs.md#conversationfields).
"""

SUM = "What is 2 + 3?"
SOLVE = (
    "Solve the following math problem step by step. The last line of your response should be of "
    "the form Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\n"
)
REMEMBER = '\n\nRemember to put your answer on its own line after "Answer:".'
ADD = "def add(a, b):\n    return a + b\n"
STDIN = {"inputs": ["2 3\n"], "outputs": ["5\n"]}
CASE = {"input": "2 3\n", "output": "5\n", "type": "stdin_stdout", "fn_name": None}
CHAT = [{"role": "user", "content": SUM}, {"role": "assistant", "content": "It is 5."}]
THOUGHT = "<think>\n2 and 3 are 5.\n</think>\n\nIt is 5."


def _verl(prompt: str, gold: str, **more: Any) -> dict[str, Any]:
    return {
        "data_source": "sums",
        "prompt": [{"role": "user", "content": prompt}],
        "reward_model": {"style": "rule", "ground_truth": gold},
        **more,
    }


_OPTIONS = {"A": "4", "B": "5", "C": "6", "D": "7"}
_KNIGHTS = {
    "quiz": 'Ann says, "Ben is a knave". Ben says, "we differ". Who is a knight?',
    "names": ["Ann", "Ben"],
    "solution": [False, True],
    "solution_text": "Ann is a knave, and Ben is a knight.",
    "n_people": 2,
}
_MATHS = {"problem": SUM, "level": 1, "subject": "sums", "type": "sums", "difficulty": 1.0}
_HUMANEVAL = {
    "prompt": 'def add(a, b):\n    """The sum of both."""\n',
    "canonical_solution": "    return a + b\n",
    "test": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
    "entry_point": "add",
}
_MBPP = {
    "text": "Write a function add that gives the sum of two numbers.",
    "code": ADD,
    "task_id": 11,
    "test_setup_code": "",
    "test_list": ["assert add(2, 3) == 5", "assert add(0, 0) == 0"],
}
_GPQA = {
    "Question": "Which number is prime?",
    "Correct Answer": "7",
    "Incorrect Answer 1": "8",
    "Incorrect Answer 2": "9",
    "Incorrect Answer 3": "10",
    "High-level domain": "Numbers",
}
_LIVE = {
    "question_content": "Add two numbers.",
    "starter_code": "class Solution:\n    def add(self, a: int, b: int) -> int:\n",
    "public_test_cases": json.dumps([{"input": "2\n3", "output": "5", "testtype": "functional"}]),
    "metadata": '{"func_name": "add"}',
    "difficulty": "easy",
    "platform": "example",
}

# by the name of the block: the suffix of a file, and a row
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "rows": ("jsonl", {"question": SUM, "answer": 5}),
    "gsm8k": ("jsonl", {"question": SUM, "answer": "2 and 3 are 5.\n#### 5"}),
    "math_train": ("jsonl", _MATHS | {"answer": "5"}),
    "math_solutions": ("jsonl", _MATHS | {"solution": r"It is $\boxed{5}$."}),
    "math500": ("jsonl", _MATHS | {"answer": "5"}),
    "aime24": ("jsonl", {"problem": SUM, "answer": "5"}),
    "amc": ("jsonl", {"problem": SUM, "answer": 5.0}),
    "olympiadbench": (
        "jsonl",
        {
            "context": None,
            "question": SUM,
            "final_answer": ["5"],
            "answer_type": "Numerical",
            "subfield": "Algebra",
        },
    ),
    "cmath": ("jsonl", {"question": "2\u52a03\u662f\u591a\u5c11\uff1f", "golden": "5", "grade": 1}),
    "svamp": (
        "jsonl",
        {"Body": "Ann has 2 eggs.", "Question": "And 3 more?", "Answer": 5.0, "Type": "Addition"},
    ),
    "deepscaler": ("json", {"problem": SUM, "answer": "5", "solution": "2 and 3 are 5."}),
    "deepmath": (
        "parquet",
        {"question": SUM, "final_answer": "5", "difficulty": 1.5, "topic": "Sums"},
    ),
    "verl": ("parquet", _verl(SUM, "5")),
    "dapo_math": ("parquet", _verl(SOLVE + SUM + REMEMBER, "5")),
    "prime_math": (
        "parquet",
        _verl(
            f"{SUM}\n\nPresent the answer in LaTex format: \\boxed{{Your answer}}",
            "5",
            ability="math",
        ),
    ),
    "aqua": ("jsonl", {"question": SUM, "options": ["A)4", "B)5", "C)6"], "correct": "B"}),
    "mmlu": (
        "jsonl",
        {"question": SUM, "choices": ["4", "5", "6", "7"], "answer": 1, "subject": "sums"},
    ),
    "mmlu_pro": (
        "parquet",
        {"question": SUM, "options": ["4", "5", "6"], "answer": "B", "category": "math"},
    ),
    "agieval": (
        "jsonl",
        {"passage": None, "question": SUM, "options": ["(A)4", "(B)5"], "label": "B"},
    ),
    "agieval_cloze": ("jsonl", {"passage": None, "question": SUM, "answer": "5"}),
    "medqa": ("jsonl", {"question": SUM, "options": _OPTIONS, "answer": "5", "answer_idx": "B"}),
    "ceval": ("csv", {"id": 0, "question": SUM, **_OPTIONS, "answer": "B"}),
    "cmmlu": ("csv", {"": 0, "Question": SUM, **_OPTIONS, "Answer": "B"}),
    "medmcqa": (
        "parquet",
        {
            "question": SUM,
            **{f"op{key.lower()}": text for key, text in _OPTIONS.items()},
            "cop": 1,
            "subject_name": "sums",
        },
    ),
    "arc": (
        "parquet",
        {
            "question": SUM,
            "choices": {"text": ["4", "5", "6"], "label": ["1", "2", "3"]},
            "answerKey": "2",
        },
    ),
    "gpqa": ("csv", _GPQA),
    "sciq": (
        "jsonl",
        {
            "question": SUM,
            "correct_answer": "5",
            "distractor1": "4",
            "distractor2": "6",
            "distractor3": "7",
        },
    ),
    "strategyqa": ("jsonl", {"question": "Is 5 more than 3?", "answer": True}),
    "knights_knaves": ("jsonl", _KNIGHTS),
    "countdown": ("parquet", {"target": 7, "nums": [3, 4]}),
    "humaneval": ("jsonl", _HUMANEVAL),
    "mbpp": ("jsonl", _MBPP),
    "mbpp_sanitized": (
        "json",
        {
            "prompt": _MBPP["text"],
            "code": ADD,
            "test_imports": ["import math"],
            "test_list": _MBPP["test_list"],
        },
    ),
    "asserted": (
        "jsonl",
        {
            "question": _MBPP["text"],
            "test": "x = add(2, 3)\nassert x == 5\nassert add(0, 0) == 0",
        },
    ),
    "kodcode": (
        "jsonl",
        {
            "question": _MBPP["text"],
            "solution": ADD,
            "test": "from solution import add\n\ndef test_add():\n    assert add(2, 3) == 5\n",
        },
    ),
    "code_contests": ("jsonl", {"problem": "Add two numbers.", "tests": STDIN}),
    "taco": (
        "jsonl",
        {
            "question": "Add two numbers.",
            "input_output": json.dumps({"inputs": [[2, 3]], "outputs": [5], "fn_name": "add"}),
            "starter_code": "def add(a, b):",
            "difficulty": "EASY",
        },
    ),
    "verifiable_coding": (
        "parquet",
        {
            "prompt": "Write a program that adds two numbers.",
            "verification_info": {"language": "python", "test_cases": [CASE]},
        },
    ),
    "livecodebench": ("jsonl", _LIVE),
    "prime_code": (
        "parquet",
        _verl(
            "Add two numbers.\n\nWrite Python code to solve the problem. Present the code in \n"
            "```python\nYour code\n```\nat the end.",
            json.dumps(STDIN),
            ability="code",
        ),
    ),
}

CONVERSATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "openr1_math": (
        "parquet",
        {
            "problem": SUM,
            "answer": "5",
            "messages": [CHAT[0], {"role": "assistant", "content": THOUGHT}],
        },
    ),
    "sharegpt": (
        "json",
        {
            "system": "Be short.",
            "conversations": [
                {"from": "human", "value": SUM},
                {"from": "gpt", "value": "It is 5."},
            ],
        },
    ),
    "reasoning_content": (
        "jsonl",
        {"messages": [CHAT[0], {**CHAT[1], "reasoning_content": "2 and 3 are 5."}]},
    ),
    "prompt_completion": ("jsonl", {"prompt": SUM, "completion": "It is 5."}),
    "alpaca": ("json", {"instruction": "Add both.", "input": "2 and 3", "output": "It is 5."}),
    "question_reasoning_answer": (
        "jsonl",
        {"question": SUM, "reasoning": "2 and 3 are 5.", "answer": "It is 5."},
    ),
}
