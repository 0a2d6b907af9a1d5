"""How much of the disk a store takes, without a look at every file of ten thousand runs each time."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec

from agentrace.store.derived import Derived

KEPT: Final = "sizes"
STAMP: Final = "sizes 1"
_NEW: Final = 32
"""So many sizes have to be new to be worth being written."""

_encode = msgspec.msgpack.encode
_decode = msgspec.msgpack.Decoder(dict[bytes, int]).decode


def size_of_store(root: Path, derived: Derived, over: Collection[bytes]) -> int:
    """Bytes of all files of a store; ``over`` are runs that will not change again."""
    total, segments = 0, root / "segments"
    with contextlib.suppress(OSError):
        for name in os.listdir(root):
            if name != segments.name:
                total += size_on_disk(root / name)
    known = _known(derived)
    sizes: dict[bytes, int] = {}
    with contextlib.suppress(OSError):
        for name in os.listdir(segments):
            with contextlib.suppress(ValueError):
                run_id = bytes.fromhex(name)
                size = known.get(run_id) if run_id in over else None
                sizes[run_id] = size_on_disk(segments / name) if size is None else size
    settled = {run_id: size for run_id, size in sizes.items() if run_id in over}
    if len(settled.keys() ^ known.keys()) >= max(_NEW, len(known) // 50):
        derived.put(KEPT, STAMP, _encode(settled))
    return total + sum(sizes.values())


def size_on_disk(path: Path) -> int:
    """Bytes on the disk of a file, or in a directory: of a file that was allocated ahead, what it really takes."""
    total = 0
    pending = [os.fspath(path)]
    with contextlib.suppress(OSError):
        if not path.is_dir():
            return path.lstat().st_blocks * 512
    while pending:
        # Lanes come and go while other processes record.
        with contextlib.suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total


def _known(derived: Derived) -> dict[bytes, int]:
    data = derived.get(KEPT, STAMP)
    try:
        return {} if data is None else _decode(data)
    except msgspec.DecodeError:
        return {}
