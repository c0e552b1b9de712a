"""Filters of system calls for the sandbox, compiled with libseccomp where the machine has it."""

import ctypes
import errno
import functools
import os

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_UNEQUAL, _MASKED_EQUAL = 1, 7
_CLONE_THREAD, _CLONE_NEWUSER = 0x00010000, 0x10000000
_UNKNOWN = -1

# new namespaces would bring back mounts and memory without bounds; the rest has had many holes
KERNEL = (
    "unshare",
    "setns",
    "mount",
    "umount2",
    "pivot_root",
    "move_mount",
    "fsopen",
    "open_tree",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "bpf",
    "perf_event_open",
    "userfaultfd",
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "keyctl",
    "add_key",
    "request_key",
    "memfd_create",
    "memfd_secret",
    "shmget",
    "msgget",
    "semget",
    "mq_open",
    "fanotify_init",
    "name_to_handle_at",
    "open_by_handle_at",
    "quotactl",
    "acct",
    "swapon",
    "init_module",
    "finit_module",
    "kexec_load",
    "reboot",
    "personality",
)
# where no namespace hides processes, network and files
PROCESSES = (
    "fork",
    "vfork",
    "execve",
    "execveat",
    "kill",
    "tkill",
    "tgkill",
    "rt_sigqueueinfo",
    "rt_tgsigqueueinfo",
    "pidfd_open",
    "pidfd_send_signal",
    "prctl",
    "setsid",
    "setpgid",
    "sched_setaffinity",
    "process_madvise",
    "chroot",
)
NETWORK = ("socket", "socketpair", "connect", "bind", "listen", "accept", "accept4")
WRITING = (
    "creat",
    "openat2",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "mkdir",
    "mkdirat",
    "rmdir",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "fchown",
    "lchown",
    "fchownat",
    "truncate",
    "utime",
    "utimes",
    "utimensat",
    "futimesat",
    "setxattr",
    "lsetxattr",
    "fsetxattr",
    "removexattr",
    "inotify_init",
    "inotify_init1",
)


class _Compare(ctypes.Structure):
    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


class _Filter:
    """A filter in the making: what no rule names is allowed."""

    def __init__(self, lib: ctypes.CDLL):
        self.lib = lib
        lib.seccomp_init.restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(lib.seccomp_init(_ALLOW))

    def refuse(self, name: str, error: int, *conditions: _Compare) -> None:
        """Makes a call fail with an errno, where its arguments meet all conditions."""
        number = self.lib.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN:  # older than this call
            return
        code = self.lib.seccomp_rule_add_array(
            self.context,
            ctypes.c_uint32(_ERRNO | error),
            number,
            len(conditions),
            (_Compare * len(conditions))(*conditions),
        )
        if code:
            raise OSError(-code, f"libseccomp refuses a rule for {name}")

    def compiled(self) -> bytes:
        fd = os.memfd_create("filter")
        if code := self.lib.seccomp_export_bpf(self.context, fd):
            raise OSError(-code, "libseccomp exports no filter")
        size = os.lseek(fd, 0, os.SEEK_CUR)
        data = os.pread(fd, size, 0)
        os.close(fd)
        self.lib.seccomp_release(self.context)
        return data


@functools.cache
def compiled(*, alone: bool) -> bytes | None:
    """Returns a filter as BPF of 8 bytes an instruction, or None without libseccomp.

    Args:
      alone: it has to stand alone: no other processes, network or writing either. Else namespaces
        see to these, and it only closes what would lead out of the namespaces or their bounds.
    """
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return None
    made = _Filter(lib)
    for name in KERNEL + ((PROCESSES + NETWORK + WRITING) if alone else ()):
        made.refuse(name, errno.EPERM)
    # its flags lie in memory that a filter cannot read; libc then falls back to clone
    made.refuse("clone3", errno.ENOSYS)
    if not alone:
        made.refuse("clone", errno.EPERM, _masked(0, _CLONE_NEWUSER, _CLONE_NEWUSER))
        return made.compiled()
    made.refuse("clone", errno.EPERM, _masked(0, _CLONE_THREAD, 0))
    made.refuse("prlimit64", errno.EPERM, _Compare(0, _UNEQUAL, 0, 0))  # another process's limits
    for name, flags in (("open", 1), ("openat", 2)):
        for way in (os.O_WRONLY, os.O_RDWR, os.O_ACCMODE):
            made.refuse(name, errno.EPERM, _masked(flags, os.O_ACCMODE, way))
        for way in (os.O_CREAT, os.O_TRUNC):
            made.refuse(name, errno.EPERM, _masked(flags, way, way))
    return made.compiled()


def _masked(arg: int, mask: int, value: int) -> _Compare:
    return _Compare(arg, _MASKED_EQUAL, mask, value)
