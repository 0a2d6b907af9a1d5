"""What is kept of runs that are over, so that they need not be read again; see ``store.derived``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from agentrace import fold
from agentrace.query import looks
from agentrace.query.meanings import Meaning
from agentrace.query.sources import Kept, RunsSource
from agentrace.query.summaries import Head, Summary
from agentrace.store import facts_version, sizes
from agentrace.store.derived import run_of

VERSION: Final = 3
"""Raised whenever the same record gives another summary, meaning or head."""

_HEADS: Final = "heads"
_NEW_HEADS: Final = 32
_STAMP: Final = f"query {VERSION} of fold {fold.VERSION}"

_encode = msgspec.msgpack.Encoder().encode
_summary_decoder = msgspec.msgpack.Decoder(Summary)
_meaning_decoder = msgspec.msgpack.Decoder(Meaning)
_heads_decoder = msgspec.msgpack.Decoder(dict[bytes, Head])

Result = TypeVar("Result", Summary, Meaning)


class Keeper:
    """What is kept in one store. Of a run that is not over, nothing is."""

    def __init__(self, store: RunsSource) -> None:
        self._store = store
        self._over = {entry.run_id for entry in store.entries if entry.state == "sealed"}

    def is_over(self, run_id: bytes) -> bool:
        """Whether a run will never change again."""
        return run_id in self._over

    def summary(self, run_id: bytes) -> Summary | None:
        """The run in short, if it was kept."""
        return self._get(run_id, "", _summary_decoder)

    def name(self, run_id: bytes) -> str:
        """What the run was called when it could be read; empty if nothing was kept of it then."""
        data = self._store.derived.get(run_id.hex(), self._stamp(run_id)) if run_id in self._over else None
        try:
            return "" if data is None else _summary_decoder.decode(data).name
        except msgspec.DecodeError:
            return ""

    def meaning(self, run_id: bytes) -> Meaning | None:
        """What its values mean, if it was kept."""
        return self._get(run_id, ".meaning", _meaning_decoder)

    def keep_summary(self, made: Summary) -> None:
        """Keep it, unless the run goes on or cannot be read."""
        if made.status != "unreadable":
            self._put(made.run_id, "", made)

    def keep_meaning(self, made: Meaning) -> None:
        """Keep it, unless the run goes on."""
        self._put(made.run_id, ".meaning", made)

    def heads(self) -> dict[bytes, Head]:
        """The first events that were kept, by run."""
        return kept_heads(self._store.derived)

    def keep_heads(self, heads: Mapping[bytes, Head], new: int) -> bool:
        """Keep those of runs that are over, once enough of them are new to be worth it; whether they were."""
        if new < max(_NEW_HEADS, len(heads) // 50):
            return False
        over = {run_id: head for run_id, head in heads.items() if run_id in self._over and head.started_ts}
        self._store.derived.put(_HEADS, _STAMP, _encode(over))
        return True

    def is_current(self, name: str, stamp: str) -> bool:
        """Whether a result that was kept under this name with this stamp can still be used."""
        run_id = run_of(name)
        if name == sizes.KEPT:
            return stamp == sizes.STAMP
        if looks.SUFFIX in name:
            return stamp == looks.STAMP
        return stamp == (_STAMP if run_id is None else self._stamp(run_id))

    def _get(self, run_id: bytes, suffix: str, decoder: msgspec.msgpack.Decoder[Result]) -> Result | None:
        if run_id not in self._over:
            return None
        since_ns = self._store.changed_ns(run_id)
        data = self._store.derived.get(run_id.hex() + suffix, self._stamp(run_id), since_ns)
        try:
            found = None if data is None else decoder.decode(data)
        except msgspec.DecodeError:
            return None
        current = found is not None and found.run_id == run_id and _is_current(found.facts)
        return found if current else None

    def _put(self, run_id: bytes, suffix: str, made: Any) -> None:
        if run_id in self._over:
            self._store.derived.put(run_id.hex() + suffix, self._stamp(run_id), _encode(made))

    def _stamp(self, run_id: bytes) -> str:
        return f"{_STAMP} over {self._store.fingerprint(run_id)}"


def kept_heads(derived: Kept) -> dict[bytes, Head]:
    """The first events that were kept, by run."""
    data = derived.get(_HEADS, _STAMP)
    try:
        return {} if data is None else _heads_decoder.decode(data)
    except msgspec.DecodeError:
        return {}


def _is_current(facts: Mapping[str, str]) -> bool:
    """Whether the integrations tell the same today."""
    return all(facts_version(name) == version for name, version in facts.items())
