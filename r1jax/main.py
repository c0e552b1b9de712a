"""r1jax --config=NAME --workdir=runs/NAME [--config.KEY=VALUE ...]

  --config=list                       names the configs that ship with r1jax, with a line each
  --config=r1_zero_tiny               one of these
  --config=PATH.py                    a file of yours
  --config.optimizer.lr=1e-4          sets a key
  --workdir=runs/mine                 everything that the run writes; the same command resumes it

  r1jax --config=r1_zero_tiny --workdir=runs/demo
  r1jax --config=generate --workdir=runs/talk --config.model=runs/demo/model

python -m r1jax.main is the same command.
"""

import difflib
import errno
import itertools
import re
import sys
from pathlib import Path
from typing import NoReturn

from absl import app, flags, logging
from ml_collections import config_flags

from r1jax import config as configs
from r1jax.config import UserError
from r1jax.io import config_files
from r1jax.io.compiled import choose_numerics, keep_compiled
from r1jax.io.disk import quiet_orbax
from r1jax.io.lock import held
from r1jax.io.loop import Stopped
from r1jax.pipelines import table
from r1jax.pipelines.recipe import check_run, config, run

PIPELINES = {
    **table.PIPELINES,
    "lineage": table.Pipeline(
        config=check_run.LineageConfig,
        run=check_run.run,
        kind="check",
        reads=("path",),
        leaves=("summary.json",),
        facts=("stages", "artefacts", "problems"),
        figures=(),
    ),
    "r1": table.Pipeline(
        config=config.R1Config,
        run=run.run,
        kind="recipe",
        reads=(),
        leaves=("lineage.json", "results.json", "stages/*/done.json"),
        facts=("done", "results"),
        figures=(),
    ),
}

FAILED, INPUT, STOPPED = 1, 2, 3  # exit codes: cannot go on; wrong input; saved, to go on later
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE)  # what no other input would mend

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "The run: a shipped config's name, or a file.", lock_config=True
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Directory for everything the run writes.", required=True
)


def _run(argv: list[str]) -> None:
    if argv[1:]:
        raise UserError(f"arguments that nobody reads: {argv[1:]}")
    values = _CONFIG.value
    name = values.get("pipeline")
    if name not in PIPELINES:
        near = difflib.get_close_matches(str(name), PIPELINES, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UserError(f"config.pipeline: got {name!r}, wanted one of {sorted(PIPELINES)}{hint}")
    pipeline = PIPELINES[name]
    keep_compiled()
    built = configs.build(pipeline.config, values.to_dict())
    choose_numerics(built)
    with held(_WORKDIR.value):
        pipeline.run(built, Path(_WORKDIR.value))


def _fail(error: BaseException | str, code: int) -> NoReturn:
    print(f"error: {error}", file=sys.stderr, flush=True)
    sys.exit(code)


def main(argv: list[str]) -> None:
    """Runs the pipeline.

    Exits with 0 when the run is done; with 3 if it saved and stopped on a signal; with 2 and a
    line if the input is wrong (`UserError`, a file that is not there); with 1 and a line if it
    cannot go on (a full disk, gradients that are not finite). Other exceptions keep their trace.
    """
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)  # absl's own default shows every step of orbax
        quiet_orbax()
    try:
        _run(argv)
    except Stopped as stopped:
        print(stopped, flush=True)
        sys.exit(STOPPED)
    except RuntimeError as error:
        if "Unable to initialize backend" not in str(error):
            raise
        _fail(error, INPUT)  # of JAX_PLATFORMS
    except (UserError, FloatingPointError, OSError) as error:
        if flags.FLAGS.verbosity > 0:
            raise
        failed = isinstance(error, FloatingPointError) or getattr(error, "errno", None) in DISK
        _fail(error, FAILED if failed else INPUT)


def _with_paths(argv: list[str]) -> list[str]:
    """The arguments with the path of a config where its name stood."""
    paths = list(argv)
    for i, (before, argument) in enumerate(itertools.pairwise(argv), start=1):
        if before == "--config":
            paths[i] = config_files.resolve(argument)
        elif argument.startswith("--config="):
            paths[i] = f"--config={config_files.resolve(argument.partition('=')[2])}"
    return paths


def parse_flags(argv: list[str]) -> list[str]:
    """Parses the flags; wrong ones end in one line, an unknown key with the nearest."""
    config_files.share()
    if {"-h", "--help"} & set(argv[1:]):
        print(__doc__)
        sys.exit(0)
    if "--config=list" in argv:
        lines = config_files.shipped().items()
        print("\n".join(f"{name:28}{line}" for name, line in lines))
        sys.exit(0)
    try:
        return flags.FLAGS(_with_paths(argv))
    except (OSError, UserError) as error:
        _fail(error, INPUT)
    except flags.Error as error:
        missing = re.match(r"flag --(\w+)=None", str(error))
        _fail(f"--{missing[1]} is missing" if missing else error, INPUT)
    except (AttributeError, KeyError) as error:
        inner = error.args[0] if isinstance(error.args[0], KeyError) else error
        key, _, hint = str(inner.args[0]).strip("'").partition("'")
        asked = [a for a in argv[1:] if f".{key}" in a.partition("=")[0]]
        if not asked:  # not an override of ours: a mistake within the config file
            raise
        _fail(f"{asked[0]}: the config has no key {key!r}. {hint.strip()}", INPUT)


def cli() -> None:
    """The command `r1jax`."""
    flags.mark_flag_as_required("config")
    app.run(main, flags_parser=parse_flags)


if __name__ == "__main__":
    cli()
