"""r1jax: the DeepSeek-R1 recipe in JAX, from a base model to a reasoner."""

__version__ = "0.1.0"
