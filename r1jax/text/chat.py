"""Chat templates: Jinja programs that come with a tokenizer, run in a process of their own."""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from r1jax.config import UserError
from r1jax.text.renderer import SECONDS

Message = Mapping[str, str]  # {"role": "user", "content": "..."}

KINDS = {
    "syntax": "no Jinja: {reason}",
    "refusal": "refuses the roles {roles}: {reason}",
    "failure": "fails on the roles {roles}: {reason}",
    "limit": "takes more than {reason}",
}
_ROOT = Path(__file__).resolve().parents[2]
_TRIES = 2  # a process that was killed from outside is replaced


class _Renderer:
    """The process of `text.renderer`: started when it is needed, and again where it is gone."""

    def __init__(self):
        self._gate = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, request: Mapping[str, Any]) -> dict[str, str]:
        """Returns the reply to a request (`renderer.answer`)."""
        line = json.dumps(request).encode() + b"\n"
        code = 0
        with self._gate:
            for _ in range(_TRIES):
                process = self._started()
                assert process.stdin is not None and process.stdout is not None
                try:
                    process.stdin.write(line)
                    process.stdin.flush()
                    reply = process.stdout.readline()
                except BrokenPipeError:
                    reply = b""
                if reply.endswith(b"\n"):
                    return json.loads(reply)
                code = self._end(process)
                if code == -signal.SIGPROF:
                    return {"kind": "limit", "reason": f"{SECONDS} s of processor time"}
        return {"kind": "limit", "reason": f"its process survives (exit code {code})"}

    def _started(self) -> "subprocess.Popen[bytes]":
        if (
            self._process is None or self._owner != os.getpid()
        ):  # a fork has no use for its parent's
            path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
            self._process = subprocess.Popen(
                [sys.executable, "-m", "r1jax.text.renderer"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C asks the run to stop, not this process
            )
            self._owner = os.getpid()
            atexit.register(self._end, self._process)
        return self._process

    def _end(self, process: "subprocess.Popen[bytes]") -> int:
        """Ends the process; returns its exit code, negative for a signal."""
        if self._owner != os.getpid():
            return 0
        self._process = None
        process.kill()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        atexit.unregister(self._end)
        return process.wait()


_RENDERER = _Renderer()


class ChatTemplate:
    """Turns messages into the text that a chat model was trained on.

    The program is foreign code: it runs in Jinja's immutable sandbox, in a process with limits of
    time and memory (`text.renderer`). It sees what transformers shows it: the messages,
    add_generation_prompt, the named special tokens, tools and documents (None), and the functions
    raise_exception and strftime_now. The latter tells the time at which the template was read, so
    that a run puts a question in one way throughout.
    """

    def __init__(self, source: str, *, tokens: Mapping[str, str]):
        """Compiles a template.

        Args:
          source: Jinja text, as in tokenizer_config.json or chat_template.jinja.
          tokens: texts of special tokens by name, such as "bos_token", which templates write
            themselves; a name that is missing is undefined there.

        Raises:
          UserError: if it is no Jinja.
        """
        self.source, self.tokens, self._now = source, dict(tokens), time.time()
        self._ask(None, roles=[])

    def render(self, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
        """Returns the text of a conversation.

        Args:
          messages: each with a role and a content.
          add_generation_prompt: end where the assistant speaks.

        Raises:
          UserError: if the template refuses the messages, fails on them, or breaks a limit; says
            why.
        """
        values = {
            "messages": [dict(message) for message in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": add_generation_prompt,
        }
        return self._ask({**self.tokens, **values}, roles=[m.get("role") for m in messages])

    def _ask(self, values: dict[str, Any] | None, *, roles: list[str | None]) -> str:
        reply = _RENDERER.ask({"source": self.source, "values": values, "now": self._now})
        if "text" in reply:
            return reply["text"]
        what = KINDS[reply["kind"]].format(roles=roles, reason=reply["reason"])
        raise UserError(f"chat template: {what}")
