"""The errors agentrace raises: each says what happened and what to do, and carries a slug with a docs page.

AgentraceError
├── ConfigError        a setting, option or argument that cannot be used
├── StoreError         the store directory cannot be read or written
│   ├── RunNotFound    a run reference that names no run, or several
│   ├── ArchiveAway    a run is archived where nothing can be reached now
│   ├── CorruptRecord  bytes on disk that are not what was written
│   ├── StoreVersion   a store of a format that this agentrace does not know
│   └── TraceFileError a trace file that cannot be read, written or imported
├── CassetteError      a cassette of another recorder that cannot be imported
├── RecordingFailed    only with on_error="raise": the run may not go on unrecorded
├── ValueUndecodable   a recorded value that this program cannot rebuild
└── ReplayError        a replay that cannot start

ReplayDivergence (BaseException)   the replayed program did something the record does not hold
AgentraceWarning (UserWarning)     something that works, but probably not as it was meant
└── UntestedVersion                a library in a version that agentrace was not tested with
"""

from __future__ import annotations

from typing import ClassVar


class AgentraceError(Exception):
    """What every error of agentrace is. ``slug`` names its section in docs/errors.md."""

    slug: ClassVar[str] = "error"

    def __init__(self, what: str, *, do: str = "", slug: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.do = do
        if slug is not None:
            self.slug = slug  # type: ignore[misc]  # an instance may be more exact than its class

    def __str__(self) -> str:
        remedy = f"\n  what to do: {self.do}" if self.do else ""
        return f"{self.what}{remedy}\n  see docs/errors.md#{self.slug}"


class ConfigError(AgentraceError):
    """A setting, option or argument that cannot be used."""

    slug = "config"


class StoreError(AgentraceError):
    """The store directory cannot be read or written."""

    slug = "store"


class RunNotFound(StoreError):
    """A run reference that names no run, or more than one."""

    slug = "run-not-found"


class ArchiveAway(StoreError):
    """A run is archived in a directory that cannot be reached."""

    slug = "archive"


class CorruptRecord(StoreError):
    """Bytes on disk that are not what was written."""

    slug = "corrupt-record"


class StoreVersion(StoreError, OSError):
    """A store of a format that this agentrace does not know.

    An ``OSError`` too: to whoever records it is a disk that takes nothing, and the program goes on.
    """

    slug = "store-version"


class TraceFileError(StoreError):
    """A trace file that cannot be read, written or imported."""

    slug = "trace-file"


class CassetteError(AgentraceError):
    """A cassette of another recorder that cannot be imported."""

    slug = "cassette"


class RecordingFailed(AgentraceError):
    """With ``on_error="raise"`` only: the event could not be kept, so the run may not go on."""

    slug = "recording-failed"


class ValueUndecodable(AgentraceError):
    """A recorded value that this program cannot rebuild."""

    slug = "value-undecodable"


class ReplayError(AgentraceError):
    """A replay that cannot start."""

    slug = "replay"


class ReplayDivergence(BaseException):
    """The replayed program did something that its record does not hold.

    A ``BaseException``, so that an agent's ``except Exception`` does not swallow it. ``code`` is one of
    the divergence codes of docs/replay.md.
    """

    slug = "replay-divergence"

    def __init__(self, code: str, report: str) -> None:
        super().__init__(f"{code}: {report}")
        self.code = code
        self.report = report

    def __reduce__(self) -> tuple[type[ReplayDivergence], tuple[str, str]]:
        return type(self), (self.code, self.report)  # it comes out of worker processes


class AgentraceWarning(UserWarning):
    """Something that works, but probably not as it was meant: a misspelt variable, a version not known."""


class UntestedVersion(AgentraceWarning):
    """A library is installed in a version that agentrace was not tested with; it is recorded all the same."""

    slug: ClassVar[str] = "untested-version"

    def __init__(self, name: str, version: str, requires: str) -> None:
        super().__init__(
            f"{name} {version} is not a version this was tested with ({requires}); it is recorded all the same\n"
            f"  what to do: update agentrace, and check the trace\n  see docs/errors.md#{self.slug}"
        )
