"""How bubblewrap is asked for a container: namespaces, and what is seen in it."""

import os
from pathlib import Path


def command(
    *, size: int, read_only: tuple[str, ...], inside: Path, root: str, filters: list[int]
) -> list[str]:
    """Returns the command that puts the one behind it into a container.

    Args:
      size: bytes of its only writable place, /tmp.
      read_only: directories that are seen there at the same place.
      inside: our package `inside`, bound below `root`.
      root: where that is.
      filters: descriptors of seccomp filters.
    """
    args = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    args += ["--unshare-cgroup-try", "--die-with-parent", "--new-session"]
    # the harness bounds the inodes of /tmp, changes its uid, and has none of these any more
    args += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN"]
    if os.getuid() == 0:
        args += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        args += ["--unshare-user"]
    args += ["--ro-bind", "/usr", "/usr"]
    for name in ("lib", "lib64", "bin"):
        path = Path("/", name)
        if path.is_symlink():
            args += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            args += ["--ro-bind", str(path), str(path)]
    if os.path.isdir("/usr/src"):  # many an image keeps its own work there
        args += ["--tmpfs", "/usr/src", "--remount-ro", "/usr/src"]
    args += ["--ro-bind", str(inside), f"{root}/r1jax/rewards/sandbox/inside"]
    args += ["--proc", "/proc"]
    # not --dev: its terminals cost a user's own sandbox a second namespace, which could not bound
    # the inodes of a tmpfs of the first
    args += ["--tmpfs", "/dev"]
    for name in ("null", "zero", "full", "random", "urandom"):
        args += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        args += ["--symlink", f"/proc/self/fd{target}", f"/dev/{name}"]
    args += ["--remount-ro", "/dev"]
    args += ["--size", str(size), "--perms", "1777", "--tmpfs", "/tmp"]
    for path in read_only:
        for parent in reversed(Path(path).parents):  # for all to pass, unlike a home directory
            args += ["--perms", "0755", "--dir", str(parent)]
        args += ["--ro-bind", path, path]
    args += ["--chdir", "/tmp", "--remount-ro", "/"]
    for fd in filters:
        args += ["--seccomp", str(fd)]
    return [*args, "--"]
