"""The format of a store: one number in a small file, looked at before anything of the store is read or written.

Whoever makes a store writes the file; one without it is of format 1, as the first versions of agentrace made them. Of
processes of several versions that make a store at the same moment, one gives it its format, and each keeps to that or
leaves the store alone.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from agentrace.errors import StoreVersion
from agentrace.journal.disk import read_fully, take_name, write_new

FORMAT: Final = 1
"""The format of the stores that this agentrace makes, and the newest that it knows."""
OLDEST: Final = 1
"""What a store is that does not say."""
FILE: Final = "format"
_AT_MOST: Final = 32


def format_of(root: Path) -> int:
    """The format of a store, which need not exist. Raises ``StoreVersion`` where it is none that is known here."""
    return _said(root) or OLDEST


def settle(root: Path) -> None:
    """Make the directory of a store if it is not there, and let it say its format.

    Raises OSError: ``StoreVersion`` where it is none that is known here, and then nothing is touched.
    """
    if _said(root):
        return
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    # A store that is there already was made by a version that wrote no such file.
    number = OLDEST if (root / "journal").is_dir() else FORMAT
    path = root / FILE
    temporary = root / f".{FILE}-{os.getpid()}-{os.urandom(4).hex()}.tmp"
    write_new(temporary, f"{number}\n".encode())
    try:
        if not take_name(temporary, path) and not path.read_bytes().strip():
            os.replace(temporary, path)  # the machine lost power before what was in it was on the disk
    finally:
        temporary.unlink(missing_ok=True)
    _said(root)


def _said(root: Path) -> int:
    """What the file says; 0 where there is none, or nothing in it. Raises ``StoreVersion``."""
    try:
        fd = os.open(root / FILE, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    try:
        text = read_fully(fd, _AT_MOST).strip()
    finally:
        os.close(fd)
    if not text:
        return 0
    if not text.isdigit() or not OLDEST <= int(text) <= FORMAT:
        raise _unknown(root, text)
    return int(text)


def _unknown(root: Path, text: bytes) -> StoreVersion:
    if text.isdigit() and int(text) > FORMAT:
        return StoreVersion(
            f"the store {root} is of format {int(text)}, and this agentrace knows none beyond {FORMAT}",
            do="update agentrace, or name another store with AGENTRACE_HOME",
        )
    said = text.decode("utf-8", "backslashreplace")
    return StoreVersion(
        f"{root / FILE} says {said!r}, which is no format of a store",
        do=f"look whether another program wrote it; a store that agentrace wrote last has format {FORMAT}",
    )
