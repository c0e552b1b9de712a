"""What runs that ask a model questions have in common in their configs."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from r1jax.exams.reward_models import PreferenceConfig
from r1jax.model.config import ExecutionConfig
from r1jax.rewards.combine import RewardConfig
from r1jax.sampling.config import SamplerConfig
from r1jax.sharding import MeshConfig
from r1jax.text.templates import PromptConfig


@runtime_checkable
class Asking(Protocol):
    """What an exam reads of a run's config; `EvaluateConfig` says what each is."""

    @property
    def name(self) -> str: ...

    @property
    def seed(self) -> int: ...

    @property
    def model(self) -> str: ...

    @property
    def prompt(self) -> PromptConfig: ...

    @property
    def samples(self) -> int: ...

    @property
    def samples_at_once(self) -> int: ...

    @property
    def batch(self) -> int: ...

    @property
    def max_new_tokens(self) -> int: ...

    @property
    def prompt_buckets(self) -> tuple[int, ...]: ...

    @property
    def sampler(self) -> SamplerConfig: ...

    @property
    def reward(self) -> RewardConfig: ...

    @property
    def level(self) -> float: ...

    @property
    def execution(self) -> ExecutionConfig: ...

    @property
    def mesh(self) -> MeshConfig: ...


def check_preferences(learned: Mapping[str, PreferenceConfig], *, longest: int) -> None:
    """Raises ValueError unless reward models read what is that long, in tokens, and its end."""
    for name, preference in learned.items():
        if max(preference.buckets) <= longest:
            raise ValueError(
                f"preferences.{name}: the largest bucket is {max(preference.buckets)}, wanted "
                f"more than the {longest} tokens of the longest prompt and completion"
            )


def check_asking(c: Asking, *, learned: Mapping[str, PreferenceConfig]) -> None:
    """Raises ValueError unless questions can be asked, judged and counted so.

    Args:
      learned: the reward models that judge too, by name.
    """
    names = ("samples", "samples_at_once", "batch", "max_new_tokens")
    if low := {name: getattr(c, name) for name in names if getattr(c, name) < 1}:
        raise ValueError(f"got {low}: need at least 1")
    if c.samples % c.samples_at_once:
        raise ValueError(
            f"samples {c.samples} are no multiple of samples_at_once {c.samples_at_once}"
        )
    if not 0 < c.level < 1:
        raise ValueError(f"level {c.level}: wanted between 0 and 1")
    c.reward.check(cap=c.max_new_tokens, learned=learned)
    check_preferences(learned, longest=max(c.prompt_buckets) + c.max_new_tokens)
    if c.reward.kind != "rule":
        raise ValueError(f"reward.kind {c.reward.kind!r}: answers are judged by rules")
    rows = c.mesh.data * c.mesh.expert
    streams, devices = c.sampler.streams, rows * c.mesh.model
    if c.batch % rows or c.batch % streams or (streams > 1 and devices > 1):
        raise ValueError(
            f"batch {c.batch}: got {streams} streams on {devices} devices, {rows} of them for "
            "rows, wanted divisors, and one stream on a mesh"
        )
