"""Disks that cannot be written."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def write_failures(directory: Path) -> Iterator[None]:
    """Makes an OSError of the ValueError that tensorstore raises where it cannot write.

    Args:
      directory: what is written, for the error.
    """
    try:
        yield
    except ValueError as error:
        cause = " ".join(str(error).split())[:300]
        raise OSError(errno.EIO, f"the save failed: {cause}", str(directory)) from error
