"""Whether a program passes its tests, run in the sandbox; `references` says what tests are."""

import functools
import json
import re
from collections.abc import Mapping
from typing import Any

from r1jax.config import UserError
from r1jax.rewards.sandbox.config import SandboxConfig, SandboxError
from r1jax.rewards.sandbox.fences import program as program
from r1jax.rewards.sandbox.references import Suite, read, whole
from r1jax.rewards.sandbox.references import check_reference as check_reference
from r1jax.rewards.sandbox.run import run as run_tests
from r1jax.rewards.score import Verdict, failed, wrong

TESTS = ("all", "fraction")
_FUTURE = re.compile(
    r"^(?:from[ \t]+__future__[ \t]+import[ \t]*(?:\([^)]{0,500}\)|[^\n;(#]+);?[ \t]*)+",
    re.MULTILINE,
)


@functools.lru_cache(maxsize=16)
def _suite_of(packed: str) -> Suite:
    return read(json.loads(packed))


def _complete(answer: str, suite: Suite) -> str:
    """The program to run: where a prompt was given, an answer may go on with it or start afresh."""
    if not suite.prompt:
        return answer
    name = re.escape(suite.entry_point)
    if re.search(rf"^(?:def|async def|class)\s+{name}\b|^{name}\s*=", answer, re.MULTILINE):
        # it may count on the prompt's imports and helpers; Python wants its own of the future first
        future = "".join(found.strip("; \t\r") + "\n" for found in _FUTURE.findall(answer))
        return future + whole(suite.prompt) + _FUTURE.sub("", answer)
    return suite.prompt + answer


def run(
    answer: str,
    reference: Mapping[str, Any],
    sandbox: SandboxConfig | Mapping[str, Any],
    tests: str,
) -> Verdict:
    """Returns how a program fares; an error only where the sandbox failed, not the program.

    Args:
      answer: the program, as `program` gives it.
      reference: the tests (see the module).
      sandbox: where and within what limits it runs, as a config or its fields.
      tests: "all" pays 1 if all pass, "fraction" the fraction that passes.

    Raises:
      UserError: if the reference, the sandbox or `tests` is unusable.
    """
    if tests not in TESTS:
        raise UserError(f"tests: got {tests!r}, wanted one of {TESTS}")
    if not isinstance(sandbox, SandboxConfig):
        sandbox = SandboxConfig(**{**sandbox, "read_only": tuple(sandbox["read_only"])})
    suite = _suite_of(json.dumps(dict(reference)))
    try:
        outcomes = run_tests(
            sandbox, _complete(answer, suite), suite.tests, stop_at_failure=tests == "all"
        )
    except SandboxError as error:
        return failed(f"sandbox: {error}")
    count, passed = len(outcomes), sum(outcome.passed for outcome in outcomes)
    if passed == count:
        return Verdict(1.0, f"passed {count} of {count} tests", False)
    worst = next(i for i, outcome in enumerate(outcomes) if not outcome.passed)
    reason = f"test {worst + 1} of {count}: {outcomes[worst].reason}"
    if suite.names[worst]:
        reason += f" in {suite.names[worst].strip()[:200]}"
    if tests == "all":
        return wrong(reason)
    return Verdict(passed / count, f"passed {passed} of {count} tests; {reason}", False)
