"""What setup.cfg cannot say: the folder configs/ is r1jax/configs in a wheel."""

from setuptools import find_packages, setup

FOLDERS = {"r1jax.configs": "configs", "r1jax.configs.models": "configs/models"}

setup(packages=[*find_packages(include=["r1jax*"]), *FOLDERS], package_dir=FOLDERS)
