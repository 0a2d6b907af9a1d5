"""May a lane be a memory mapping here? Only where a page that was allocated can always be written.

Writing to a mapped page that the file system cannot back raises SIGBUS and kills the host. On ext2/3/4, xfs and tmpfs
a file that posix_fallocate has filled has its blocks; an overlay depends on what lies below it; network and copy-on-
write file systems promise nothing of the kind.
"""

from __future__ import annotations

import mmap
import os
import re
import sys
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS
from pathlib import Path
from typing import Final, NamedTuple

SAFE: Final = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})
PROBED: Final = frozenset({"overlay"})
_PROBE_SIZE: Final = 1 << 16
_SAYS_NOTHING: Final = frozenset({ENOSPC, EDQUOT, EROFS, EACCES, EPERM})
"""A probe that fails for want of space or rights has not shown that mapping is unsafe."""


class Verdict(NamedTuple):
    """Whether a lane may be mapped in a directory, and the reason as a sentence."""

    safe: bool
    why: str


def judge(directory: Path) -> Verdict:
    """Whether a lane may be mapped in this directory, which need not exist yet."""
    if sys.platform != "linux":
        return Verdict(False, f"mapping is used on Linux only, this is {sys.platform}")
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return Verdict(False, "without the GIL a write to a mapping is not atomic")
    there = _nearest_existing(directory)
    try:
        kind = file_system(there, Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
    except OSError as failure:
        return Verdict(False, f"the mounts cannot be read ({failure})")
    if kind in SAFE:
        return _probe(there, f"{there} is on {kind}")
    if kind in PROBED:
        return _probe(there, f"{there} is on {kind}, which passed a probe")
    return Verdict(False, f"{there} is on {kind or 'an unknown file system'}, where mapped pages may not be backed")


def file_system(path: Path, mountinfo: str) -> str:
    """The type of the file system that holds ``path`` (absolute, resolved), from the text of mountinfo; "" if
    none.

    The longest mount point that is a prefix wins; of two mounts on one point the later, which hides the other.
    """
    target = path.parts
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        mount, _, tail = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < 5 or not tail:
            continue
        point = Path(_unescape(fields[4])).parts
        if target[: len(point)] == point and len(point) >= best:
            best, kind = len(point), tail.split(" ")[0]
    return kind


def _unescape(field: str) -> str:
    """mountinfo writes blank, tab, newline and backslash as three octal digits."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _nearest_existing(directory: Path) -> Path:
    resolved = Path(os.path.realpath(directory))
    return next((path for path in (resolved, *resolved.parents) if path.is_dir()), resolved)


def _probe(directory: Path, why: str) -> Verdict:
    """Allocate, map, write and read back a small file, as a lane would be."""
    path = directory / f".agentrace-probe-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as failure:
        return _unless_telling(failure, why)
    try:
        os.unlink(path)
        os.posix_fallocate(fd, 0, _PROBE_SIZE)
        pattern = os.urandom(256) * (_PROBE_SIZE // 256)
        with mmap.mmap(fd, _PROBE_SIZE) as mapping:
            mapping.write(pattern)
            if os.pread(fd, _PROBE_SIZE, 0) != pattern:
                return Verdict(False, f"{why}, but what is written to a mapping is not what a read returns")
    except OSError as failure:
        return _unless_telling(failure, why)
    finally:
        os.close(fd)
    return Verdict(True, why)


def _unless_telling(failure: OSError, why: str) -> Verdict:
    if failure.errno in _SAYS_NOTHING:
        return Verdict(True, why)
    return Verdict(False, f"{why}, but a file cannot be allocated and mapped there ({failure.strerror})")
