"""Examines a model of ours with EleutherAI's lm-eval: pip install 'r1jax[lm-eval]'.

The command is lm-eval's own, with all its options; it knows the model "r1jax" too:

python -m r1jax.integrations.lm_eval.adapter --model r1jax --model_args model=runs/demo/model \
    --tasks my_task --include_path tasks/ --batch_size 8 --output_path runs/lm_eval --log_samples

It prints lm-eval's table and writes its JSON. `model` is a model directory, a GGUF file, or
"package:NAME"; `HarnessConfig` has all that `--model_args` may say, as in
'model=x.gguf,buckets=[512,2048]'. `--apply_chat_template` puts questions by the tokenizer's chat
template; with `--use_cache FILE` a killed run goes on where it stopped. Without a network set
HF_HUB_OFFLINE=1, and take tasks whose `dataset_path` is json. In Python: `register()`, then
lm_eval.simple_evaluate(model="r1jax", ...).

Nothing imports this module but its tests, and it imports lm_eval only in `register` and `main`.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from r1jax import config as configs
from r1jax.config import MissingPackage, UserError
from r1jax.integrations.lm_eval.text_model import HarnessConfig, Request, TextModel, rolling_windows
from r1jax.sampling.config import SamplerConfig
from r1jax.text.chat import Message
from r1jax.text.tokenizer import Tokenizer

# what --model_args need not say; lm-eval always says batch_size itself (1, if nobody else does)
DEFAULTS = {
    "batch_size": 8,
    "max_new_tokens": 256,
    "buckets": (64, 128, 256, 512, 1024, 2048),
    "think_end_token": "",
    "seed": 0,
    "logit_chunk": 64,
    "cache_segments": 4,
    "param_dtype": "float32",
    "compute_dtype": "float32",
    "dispatch": "blocks",
}
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")  # all one
FILTERS = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}


def read_args(given: Mapping[str, Any], beside: Mapping[str, Any] | None) -> HarnessConfig:
    """Returns what `--model_args` and the flags beside it say.

    Args:
      given: of `--model_args`; `buckets` may be one number, or text such as "64+256".
      beside: batch_size, max_batch_size and device, as lm-eval hands them on; None is not said, and
        device is not read: lm-eval says "cuda:0" by itself, and JAX goes by JAX_PLATFORMS.

    Raises:
      UserError: on what is unknown, missing or of the wrong type, such as batch_size "auto".
    """
    flags = {k: v for k, v in (beside or {}).items() if v is not None and k != "device"}
    values = {**DEFAULTS, **given, **flags}
    if isinstance(values["batch_size"], str) and values["batch_size"].isdigit():
        values["batch_size"] = int(values["batch_size"])
    if isinstance(values["buckets"], int | str):
        values["buckets"] = [int(b) for b in str(values["buckets"]).split("+")]
    return configs.build(HarnessConfig, values, "model_args")


def read_gen_kwargs(given: Mapping[str, Any], config: HarnessConfig) -> Request:
    """Returns what a task's generation_kwargs ask for.

    `do_sample: false` is greedy whatever the temperature beside it, which many of lm-eval's own
    tasks rely on. Without `do_sample` a temperature above 0 samples; `do_sample: true` without a
    temperature samples at 1.

    Raises:
      UserError: on a key that nobody would read, or a value that has no meaning.
    """
    known = {"until", "do_sample", "num_beams", "temperature", "repetition_penalty"}
    known |= {*LENGTHS, *FILTERS}
    if given.keys() - known:
        raise UserError(
            f"gen_kwargs: unknown keys {sorted(given.keys() - known)}, known are {sorted(known)}"
        )
    lengths = [k for k in LENGTHS if k in given]
    cap = given[lengths[0]] if lengths else config.max_new_tokens
    until = given.get("until") or []
    until = [until] if isinstance(until, str) else until
    sampled = given.get("do_sample", given.get("temperature", 0) > 0)
    temperature = given.get("temperature", 1.0) if sampled else 0.0
    wrong = {
        "max_gen_toks": len(lengths) > 1 or not isinstance(cap, int) or cap < 1,
        "until": not all(isinstance(stop, str) for stop in until),
        "do_sample": not isinstance(sampled, bool) or (sampled and temperature == 0),
        "num_beams": given.get("num_beams", 1) != 1,
    }
    if any(wrong.values()):
        raise UserError(
            f"gen_kwargs: cannot make sense of {[k for k in wrong if wrong[k]]} in {dict(given)}"
        )
    filters = {k: given.get(k, v) if sampled else v for k, v in FILTERS.items()}
    values = {
        **filters,
        "temperature": temperature,
        "cache_segments": config.cache_segments,
        "slots": 0,
        "repetition_penalty": given.get("repetition_penalty", 1.0),
    }
    return Request(configs.build(SamplerConfig, values, "gen_kwargs"), cap, tuple(until))


def chat_text(
    tokenizer: Tokenizer, messages: Sequence[Message], *, add_generation_prompt: bool
) -> str:
    """Returns a conversation's text by the tokenizer's chat template.

    Args:
      tokenizer: whose template it is.
      messages: the last is the assistant's beginning if there is no generation prompt.
      add_generation_prompt: end where the assistant speaks, not within what it has begun to say.

    Raises:
      UserError: if there is no template, or it does not show what the assistant began with.
    """
    if tokenizer.chat is None:
        raise UserError("apply_chat_template: this model's tokenizer has no chat template")
    text = tokenizer.chat.render(messages, add_generation_prompt=add_generation_prompt)
    if add_generation_prompt:
        return text
    begun = messages[-1]["content"].strip()
    if begun not in text:
        raise UserError(f"apply_chat_template: the chat template does not show {begun!r:.60}")
    return text[: text.rindex(begun) + len(begun)]


@functools.cache
def register() -> type:
    """Registers the model "r1jax" with lm-eval and returns its class.

    Raises:
      ImportError: if lm-eval is not installed.
    """
    try:
        from lm_eval.api.model import LM  # pyright: ignore[reportMissingImports]  # an extra
        from lm_eval.api.registry import register_model  # pyright: ignore[reportMissingImports]
        from lm_eval.utils import simple_parse_args_string  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingPackage(
            f"lm-eval is not installed ({error}): pip install 'r1jax[lm-eval]'"
        ) from error

    @register_model("r1jax")
    class R1jaxLM(LM):
        """lm-eval's view of a TextModel; requests hold their texts in `args`."""

        def __init__(self, config: HarnessConfig):
            super().__init__()
            self.text_model = TextModel(config)

        @classmethod
        def create_from_arg_obj(cls, arg_dict, additional_config=None):
            return cls(read_args(arg_dict, additional_config))

        @classmethod
        def create_from_arg_string(cls, arg_string, additional_config=None):
            return cls(read_args(simple_parse_args_string(arg_string), additional_config))

        def generate_until(self, requests) -> list[str]:
            prompts = [request.args[0] for request in requests]
            drawn = [
                read_gen_kwargs(request.args[1], self.text_model.config) for request in requests
            ]
            texts = {}
            for row, text in self.text_model.completions(prompts, drawn):
                texts[row] = text
                self.cache_hook.add_partial("generate_until", requests[row].args, text)
            return [texts[row] for row in range(len(requests))]

        def loglikelihood(self, requests) -> list[tuple[float, bool]]:
            answers = {}
            windows = [self.text_model.window(*r.args) for r in requests]
            for row, *answer in self.text_model.logps(windows):
                answers[row] = tuple(answer)
                self.cache_hook.add_partial("loglikelihood", requests[row].args, answers[row])
            return [answers[row] for row in range(len(requests))]

        def loglikelihood_rolling(self, requests) -> list[float]:
            m = self.text_model
            cuts = [
                rolling_windows(
                    m.tokenizer.encode(r.args[0]), m.prefix_id, length=max(m.config.buckets)
                )
                for r in requests
            ]
            owners = [row for row, windows in enumerate(cuts) for _ in windows]
            totals = [0.0] * len(requests)
            for at, logp, _ in m.logps([w for windows in cuts for w in windows]):
                totals[owners[at]] += logp
            return totals

        def apply_chat_template(self, chat_history, add_generation_prompt: bool = True) -> str:
            return chat_text(
                self.text_model.tokenizer, chat_history, add_generation_prompt=add_generation_prompt
            )

        def chat_template(self, chat_template: bool | str = False) -> str:
            chat = self.text_model.tokenizer.chat
            return chat.source if chat and chat_template else ""

        @property
        def tokenizer_name(self) -> str:
            """The key of lm-eval's cache of requests."""
            return self.text_model.tokenizer.fingerprint

    return R1jaxLM


def main() -> None:
    """lm-eval's own command."""
    register()
    from lm_eval.__main__ import cli_evaluate  # pyright: ignore[reportMissingImports]  # an extra

    cli_evaluate()


if __name__ == "__main__":
    main()
