"""Inside the sandbox: what only the kernel's own calls do, and resource limits.

ctypes, imported where it is needed, takes 4 ms.
"""

import os
import resource

from r1jax.rewards.sandbox.inside.packing import Any

SIGKILL = 9
_PDEATHSIG, _DUMPABLE, _NO_NEW_PRIVS, _SECCOMP, _FILTER = 1, 4, 38, 22, 2  # numbers of prctl
_FSCONFIG, _FSPICK = 431, 433  # numbers of system calls, on every machine
_SET_STRING, _RECONFIGURE = 1, 7
_HERE = -100  # AT_FDCWD
_CAPABILITIES_3 = 0x20080522  # the version of capset's arguments


def _prctl(*arguments: Any) -> None:
    import ctypes

    words = [arg if isinstance(arg, ctypes.c_void_p) else ctypes.c_ulong(arg) for arg in arguments]
    words += [ctypes.c_ulong(0)] * (5 - len(words))
    if ctypes.CDLL(None, use_errno=True).prctl(*words):
        raise OSError(ctypes.get_errno(), f"prctl {arguments}")


def die_with_parent() -> None:
    """Must follow every change of uid, which undoes it."""
    _prctl(_PDEATHSIG, SIGKILL)


def hide() -> None:
    """Keeps processes of the same uid from reading this one's memory and descriptors."""
    _prctl(_DUMPABLE, 0)


def install(program: bytes) -> None:
    """Applies a seccomp filter, compiled BPF of 8 bytes an instruction, for good."""
    import ctypes

    class Fprog(ctypes.Structure):
        _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))

    _prctl(_NO_NEW_PRIVS, 1)
    fprog = Fprog(len(program) // 8, program)
    _prctl(_SECCOMP, _FILTER, ctypes.cast(ctypes.pointer(fprog), ctypes.c_void_p))


def limit(which: int, value: int) -> None:
    """Lowers a resource limit, soft and hard, to value or to the hard one if that is less."""
    _, hard = resource.getrlimit(which)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def _check(code: int, what: str) -> int:
    import ctypes

    if code < 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return code


def bound_inodes(place: str, count: int) -> None:
    """Bounds the files that a tmpfs can hold, empty ones too; needs CAP_SYS_ADMIN.

    mount() could do so as well, but bubblewrap has forbidden it by now.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    fd = _check(libc.syscall(_FSPICK, _HERE, place.encode(), 0), f"fspick {place}")
    key, value = b"nr_inodes", str(count).encode()
    _check(libc.syscall(_FSCONFIG, fd, _SET_STRING, key, value, 0), f"nr_inodes of {place}")
    _check(libc.syscall(_FSCONFIG, fd, _RECONFIGURE, None, None, 0), f"remount of {place}")
    os.close(fd)


def drop_capabilities() -> None:
    """Gives up all capabilities for good, as a change from root to another uid does."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_3, 0)
    _check(libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
