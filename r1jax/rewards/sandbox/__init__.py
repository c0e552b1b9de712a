"""Programs of a model, run where they can do no harm."""

from r1jax.rewards.sandbox.config import SandboxConfig as SandboxConfig
