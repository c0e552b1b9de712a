"""python -m r1jax.main --config=configs/NAME.py --workdir=runs/NAME [--config.grpo.lr=...]"""

import dataclasses
import difflib
import sys
import warnings
from pathlib import Path

import jax
from absl import app, flags
from ml_collections import config_flags

from r1jax import config as configs
from r1jax.pipelines import pretrain, r1_zero
from r1jax.train.loop import Stopped

PIPELINES = {
    "pretrain": (pretrain.PretrainConfig, pretrain.run),
    "r1_zero": (r1_zero.R1ZeroConfig, r1_zero.run),
}

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The run: a file of configs/.", lock_config=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory for everything the run writes.", required=True
)


def _run(argv: list[str]) -> None:
    if argv[1:]:
        raise ValueError(f"arguments that nobody reads: {argv[1:]}")
    values = _CONFIG.value
    known = sorted(PIPELINES)
    name = values.get("pipeline")
    if name not in PIPELINES:
        near = difflib.get_close_matches(str(name), known, 1)
        raise ValueError(
            f"config.pipeline: got {name!r}, wanted one of {known}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    kind, run = PIPELINES[name]
    # the persistent cache spares a resumed run the compilation
    jax.config.update("jax_compilation_cache_dir", str(Path(_WORKDIR.value) / "jax_cache"))
    run(configs.build(kind, values.to_dict()), Path(_WORKDIR.value))


def main(argv: list[str]) -> None:
    """Runs the pipeline; what the user can mend is told in one line, without a traceback."""
    try:
        _run(argv)
    except Stopped as stopped:
        print(stopped, flush=True)
    except (ValueError, FloatingPointError, FileNotFoundError, RuntimeError) as error:
        if flags.FLAGS.verbosity > 0 or isinstance(error, jax.errors.JaxRuntimeError):
            raise
        print(f"error: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


if __name__ == "__main__":
    flags.mark_flag_as_required("config")
    app.run(main)
