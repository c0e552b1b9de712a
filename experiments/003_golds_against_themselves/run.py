"""Judges the reference answers of real data sets against themselves, against others', and mutated.

python experiments/003_golds_against_themselves/run.py --data=DIRECTORY [--only=gsm8k,math500]

DIRECTORY holds a folder for each data set, as named in SETS, plain or gzipped; those that are
missing are left out and named.
"""

import ast
import dataclasses
import json
import random
import time
from collections.abc import Callable
from pathlib import Path

from absl import app, flags

from configs import data, rewards
from r1jax import config as configs
from r1jax.data.files.mapping import FileSource, load_problems
from r1jax.data.tasks.problems import Problem
from r1jax.rewards.judge import Judge, JudgeConfig

HERE = Path(__file__).parent
SETS = {
    "gsm8k": (data.gsm8k, "gsm8k/test.jsonl"),
    "math500": (data.math500, "math500/test_even.jsonl"),
    "aime24": (data.aime24, "aime24/test.jsonl"),
    "math rest": (data.math_solutions, "math/test_minus_math500.jsonl"),
    "olympiadbench": (data.olympiadbench, "olympiadbench/test.jsonl"),
    "cmath": (data.cmath, "cmath/test.jsonl"),
    "svamp": (data.svamp, "svamp/test.jsonl"),
    "aqua": (data.aqua, "aqua/test.jsonl"),
    "mmlu": (data.mmlu, "mmlu/test.jsonl"),
    "knights and knaves": (data.knights_knaves, "knights_knaves/test.jsonl"),
    "humaneval": (data.humaneval, "humaneval/test.jsonl"),
    "mbpp": (lambda path: data.mbpp(path, first=1, last=974), "mbpp/mbpp.jsonl"),
}
SOLUTIONS = {  # worked solutions in place of answers
    "math500 solutions": (data.math500, "math500/test_even.jsonl"),
    "math rest solutions": (
        data.math_solutions,
        "math/test_minus_math500.jsonl",
    ),
}

_DATA = flags.DEFINE_string("data", None, "Folder of the data sets.", required=True)
_ONLY = flags.DEFINE_list("only", [], "Sets to judge; all by default.")


def found(name: str) -> Path | None:
    path = Path(_DATA.value) / name
    return next((p for p in (path, path.with_name(path.name + ".gz")) if p.exists()), None)


def said(problem: Problem, answer: str) -> str:
    """A completion that gives an answer."""
    if problem.kind == "code":
        prompt = problem.reference.get("prompt", "")
        return f"<think>so</think>\n```python\n{prompt}{answer}\n```"
    if problem.kind == "knights_knaves":
        return f"<think>so</think><answer>{answer}</answer>"
    return f"<think>so</think>\\boxed{{{answer}}}"


class _Mutant(ast.NodeTransformer):
    """Makes every function return something else."""

    def visit_Return(self, node: ast.Return) -> ast.Return:
        return ast.copy_location(ast.Return(ast.Constant("mutated")), node)


def mutated(problem: Problem) -> str:
    tree = ast.parse(problem.reference.get("prompt", "") + problem.answer)
    return f"<think>so</think>\n```python\n{ast.unparse(_Mutant().visit(tree))}\n```"


def timed(judge: Judge, texts: list[str], problems: list[Problem]) -> dict:
    start = time.monotonic()
    judged = judge(texts, problems)
    seconds = time.monotonic() - start
    verdicts = [j.verdict for j in judged]
    odd = [f"{p.id}: {v.reason}" for p, v in zip(problems, verdicts, strict=True) if v.value < 1]
    return {
        "answers": len(texts),
        "right": sum(v.value == 1 for v in verdicts),
        "errors": sum(v.error for v in verdicts),
        "per_second": len(texts) / seconds,
        "not_right": odd,
        "right_rows": [i for i, v in enumerate(verdicts) if v.value == 1],
    }


def golds(judge: Judge, make: Callable[[str], dict], path: Path) -> dict:
    problems = load_problems(configs.build(FileSource, make(str(path))))
    for problem in problems:
        judge.check(problem)
    result = {"gold": timed(judge, [said(p, p.answer) for p in problems], problems)}
    if problems[0].kind == "code":
        result["mutated"] = timed(judge, [mutated(p) for p in problems], problems)
        result["mutated"].pop("not_right")
        return result
    order = list(range(len(problems)))
    random.Random(0).shuffle(order)
    other = [problems[i].answer for i in order]
    shuffled = timed(judge, [said(p, a) for p, a in zip(problems, other, strict=True)], problems)
    shuffled["same_text"] = sum(p.answer == a for p, a in zip(problems, other, strict=True))
    shuffled["equal_but_spelt_otherwise"] = [
        f"{problems[i].answer} = {other[i]}"
        for i in shuffled.pop("right_rows")
        if problems[i].answer != other[i]
    ]
    shuffled.pop("not_right")
    return result | {"shuffled": shuffled}


def solutions(judge: Judge, make: Callable[[str], dict], path: Path) -> dict:
    block = make(str(path))
    problems = load_problems(configs.build(FileSource, block))
    texts = load_problems(
        configs.build(FileSource, block | dict(answer="solution", answer_pattern=""))
    )
    return {"solution": timed(judge, [f"<think>so</think>{t.answer}" for t in texts], problems)}


def main(argv: list[str]) -> None:
    config = configs.build(JudgeConfig, rewards.get_judge().to_dict())
    config = dataclasses.replace(config, batch_seconds=3600.0)
    results = {}
    with Judge(config) as judge:
        # the first formula and the first program start the workers: not what is timed
        root = Problem("warm", "?", r"2\sqrt{5}", "", "", "maths", {})
        judge([said(root, rf"\sqrt{{{n}}}") for n in range(20, 28)], [root] * 8)
        for table, how in ((SETS, golds), (SOLUTIONS, solutions)):
            for name, (make, where) in table.items():
                if _ONLY.value and name not in _ONLY.value:
                    continue
                path = found(where)
                if path is None:
                    print(f"{name}: no {where}")
                    continue
                results[name] = how(judge, make, path)
                for kind, row in results[name].items():
                    row.pop("right_rows", None)
                    share = row["right"] / row["answers"]
                    print(
                        f"{name}, {kind}: {row['right']} of {row['answers']} right ({share:.4f}), "
                        f"{row['errors']} errors, {row['per_second']:,.0f}/s",
                        flush=True,
                    )
    if not _ONLY.value:
        text = json.dumps(results, indent=1, ensure_ascii=False)
        (HERE / "results.json").write_text(text + "\n")


if __name__ == "__main__":
    app.run(main)
