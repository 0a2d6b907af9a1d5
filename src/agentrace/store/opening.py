"""A store directory, opened for reading: which runs it holds, and the record of each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from agentrace import events, journal
from agentrace.errors import RunNotFound, StoreError, StoreVersion
from agentrace.journal import Problem, RunEntry
from agentrace.journal.lane_glancing import Looked, Places
from agentrace.journal.lanes import Place
from agentrace.journal.reading import open_sealed
from agentrace.journal.run_directory import segment_paths
from agentrace.journal.store_format import format_of
from agentrace.store.away import Archive, archives, is_away, where
from agentrace.store.derived import Derived, run_of
from agentrace.store.record import RunRecord
from agentrace.store.references import missing
from agentrace.store.removing import finish_removals
from agentrace.store.sizes import size_of_store, size_on_disk

RECOVERY_SECONDS: Final = 5.0
"""How long opening a store seals what dead processes left; the next one goes on
from there, and what is not sealed yet can be read all the same."""


_DIGEST: Final = 16
_encode_places: Final = msgspec.msgpack.encode
_decode_places: Final = msgspec.msgpack.Decoder(dict[str, Looked]).decode


class Store:
    """The runs of one directory, as they were when it was opened. For one thread at a time."""

    notices: Sequence[str] = ()
    """What is the matter with the whole of it, each as one sentence."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.derived = Derived(root)
        """Where results that can be computed again are kept."""
        self._before: Places | None = None

    @cached_property
    def _snapshot(self) -> journal.Snapshot:
        self._check_format()
        # A store that may only be read is read as it is.
        with contextlib.suppress(OSError):
            journal.recover(self.root, tombstone=events.tombstone, timeout=RECOVERY_SECONDS)
            finish_removals(self.root, timeout=RECOVERY_SECONDS)
        try:
            return journal.Snapshot(self.root, before=self._before)
        except OSError as error:
            raise _unreadable(self.root, error) from error

    def _check_format(self) -> None:
        try:
            format_of(self.root)
        except StoreVersion:
            raise
        except OSError as error:
            raise _unreadable(self.root, error) from error

    @property
    def is_listed(self) -> bool:
        """Whether what is told of its runs is as of an earlier moment than now."""
        return "_snapshot" in self.__dict__

    def go_on_from(self, came_to: bytes) -> None:
        """List the runs from where an earlier list had come to, which told its ``came_to``. To be said before."""
        digest, places = came_to[:_DIGEST], came_to[_DIGEST:]
        if blake3(places).digest(_DIGEST) == digest:  # else it is damaged, and the list is made from the beginning
            with contextlib.suppress(ValueError):
                self._before = _decode_places(places)

    def came_to(self) -> bytes:
        """How far the list of the runs has come in what living processes write."""
        places = _encode_places(self._snapshot.places)
        return blake3(places).digest(_DIGEST) + places

    def continued(self, run_id: bytes, after: int) -> journal.Record | None:
        """What came of a live run beyond the seq ``after``, up to when the runs were listed; ``None`` where that takes
        its whole record to know.
        """
        return self._snapshot.continued(run_id, after)

    @property
    def entries(self) -> list[RunEntry]:
        """All runs, the newest last. Raises ``StoreError``."""
        return self._entries

    @cached_property
    def _entries(self) -> list[RunEntry]:
        snapshot = self._snapshot
        try:
            here = snapshot.runs()
        except OSError as error:
            raise _unreadable(self.root, error) from error
        elsewhere = self._away.keys() - {entry.run_id for entry in here} if self._away else ()
        if not elsewhere:
            return here
        return sorted([*here, *(RunEntry(run_id, "sealed") for run_id in elsewhere)], key=lambda one: one.run_id)

    @cached_property
    def _away(self) -> Mapping[bytes, Archive]:
        return where(archives(self.root))

    def archive_of(self, run_id: bytes) -> Path | None:
        """The archive that a run is in; ``None`` if the store has it itself. Raises ``StoreError``."""
        found = self._away.get(run_id) if self._away else None
        return None if found is None or self._is_here(run_id) else Path(found.path)

    def is_away(self, run_id: bytes) -> bool:
        """Whether a run is in an archive that cannot be reached now. Raises ``StoreError``."""
        found = self._away.get(run_id) if self._away else None
        return found is not None and not found.is_there and not self._is_here(run_id)

    def archived(self) -> dict[bytes, str]:
        """The archive of each run that the store does not have itself. Raises ``StoreError``."""
        return {run_id: found.path for run_id, found in self._away.items() if not self._is_here(run_id)}

    def reachable(self) -> set[str]:
        """The archives of such runs that are there now. Raises ``StoreError``."""
        return {archive.path for archive in archives(self.root) if archive.is_there}

    def _is_here(self, run_id: bytes) -> bool:
        return (Place(self.root).segments / run_id.hex()).exists()

    def record(self, run_id: bytes) -> RunRecord:
        """One run. Raises ``RunNotFound``, and ``StoreError`` where it cannot be read."""
        return RunRecord(self.source(run_id))

    def source(self, run_id: bytes) -> journal.Record:
        """The encoded events and payloads of a run. Raises as ``record`` does."""
        snapshot = self._snapshot
        archive = self._away.get(run_id) if self._away else None
        try:
            return snapshot.record(run_id, self._beginning(run_id))
        except RunNotFound:
            if archive is None:
                raise
            return _archived(archive, run_id)
        except OSError as error:
            raise _unreadable(self.root, error) from error

    def _beginning(self, run_id: bytes) -> Path | None:
        """The archive that has the beginning of a run, where the store itself has only what came after the move."""
        archive = self._away.get(run_id) if self._away else None
        if archive is None or fingerprint(self.root, run_id) == archive.runs[run_id] or not archive.is_there:
            return None
        return Path(archive.path)

    def problems(self, run_id: bytes) -> list[Problem]:
        """Everything in a run's record that is not as it was written; empty if it is whole. Raises ``RunNotFound``."""
        return problems(self.source(run_id))

    def fingerprint(self, run_id: bytes) -> str:
        """Equal for two moments between which a run that is over did not change: its segments and their sizes."""
        found = fingerprint(self.root, run_id)
        archive = self._away.get(run_id) if self._away else None
        if archive is None:
            return found
        is_late = bool(found) and self._beginning(run_id) is not None
        return f"{archive.runs[run_id]} {found}" if is_late else found or archive.runs[run_id]

    def changed_ns(self, run_id: bytes) -> int:
        """When a segment of a run was last written, Unix nanoseconds: damage may leave the size as it was. 0 where the
        store does not have the run itself.
        """
        latest = 0
        for path in segment_paths(Place(self.root).segments / run_id.hex()):
            with contextlib.suppress(OSError):
                latest = max(latest, os.stat(path).st_mtime_ns)
        return latest

    def size_of(self, run_id: bytes) -> int:
        """Bytes on the disk of what is sealed of a run, here or in its archive."""
        return size_on_disk(Place(self.archive_of(run_id) or self.root).segments / run_id.hex())

    def size(self) -> int:
        """Bytes of all files of the store."""
        over = {entry.run_id for entry in self.entries if entry.state == "sealed"}
        return size_of_store(self.root, self.derived, over)


def fingerprint(root: Path, run_id: bytes) -> str:
    """The segments of a run and their sizes; empty if there is none."""
    sizes: list[str] = []
    for path in segment_paths(Place(root).segments / run_id.hex()):
        with contextlib.suppress(OSError):
            sizes.append(f"{path.name}:{os.stat(path).st_size}")
    return " ".join(sizes)


def _archived(archive: Archive, run_id: bytes) -> journal.Record:
    try:
        return open_sealed(Path(archive.path), run_id)
    except (RunNotFound, OSError) as error:
        raise is_away(archive, run_id) from error


def sealed_ids(root: Path) -> list[bytes]:
    """The runs of which something is sealed, the newest last, without a look at the lanes. Raises OSError."""
    format_of(root)
    found = map(run_of, os.listdir(Place(root).segments))
    return sorted(run_id for run_id in found if run_id is not None)


def sealed_record(root: Path, run_id: bytes) -> RunRecord:
    """One run as far as it is sealed. Raises ``RunNotFound``, OSError."""
    return RunRecord(open_sealed(root, run_id))


def problems(record: journal.Record) -> list[Problem]:
    """Everything in a record that is not as it was written; empty if it is whole."""
    found = journal.problems(record)
    lost = missing(record.events(), record.payload)
    known = {problem.text for problem in found}
    return [*found, *(Problem("payload", text) for _, text in lost if text not in known)]


def _unreadable(root: Path, error: OSError) -> StoreError:
    return StoreError(
        f"the store {root} cannot be read: {error.strerror or error}",
        do="make it readable for this user, or name another one with AGENTRACE_HOME",
    )
