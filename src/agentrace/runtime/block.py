"""``with agentrace.replay(run): ...``: a block of code answered from a recorded run, in this process."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Literal

from agentrace import archive, config
from agentrace.capture.entering import AlsoAsync
from agentrace.errors import ReplayDivergence
from agentrace.query import Runs
from agentrace.replay.manner import Manner
from agentrace.runtime.replaying import Replaying, as_recorded


class replay(AlsoAsync):
    """Answer the model, tool and retriever calls of a block from a record; also ``async with``.

    Args:
        run: a run of the store as `agentrace ls` names it, a trace file, or ``FILE@RUN``.
        home: the store that is read and written; the one of the settings by default.
        order: ``recorded``, or ``free`` for programs in which nothing races.
        speed: of streams: 0 without waiting, 1 as recorded, 2 twice as fast.
        observe: go on after a divergence where that is possible.

    Raises ``ReplayDivergence`` at the end of the block if it did not what the record holds; ``RunNotFound`` and other
    errors of the store at its beginning; ``AgentraceError`` if this process is being recorded already. No connection is
    made inside the block, by any thread of the process.
    """

    verdict = ""
    """After the block: ``exact``, ``exact_with_caveats`` or ``diverged``."""

    def __init__(
        self,
        run: str | Path,
        *,
        home: str | Path | None = None,
        order: Literal["recorded", "free"] = "recorded",
        speed: float = 0.0,
        observe: bool = False,
    ) -> None:
        self._reference = str(run)
        self._home = home
        self._manner = Manner(order, speed, observe)
        self._replaying: Replaying | None = None
        self.caveats: list[str] = []
        """After the block: what keeps the replay from being called exact, or the codes of its divergences."""

    def __enter__(self) -> replay:
        given = {} if self._home is None else {"home": str(self._home)}
        settings = config.load(given, environ=os.environ, cwd=Path.cwd())
        file = archive.split_file(self._reference)
        if file is None:
            runs = Runs(settings.home)
            run_id = runs.find(self._reference)
        else:
            runs = archive.runs_at(file.path)
            run_id = runs.find(file.run) if file.run else archive.only_run(runs)
        source = runs.record(run_id)
        settings = as_recorded(settings, source)
        self._replaying = Replaying(runs, source, settings, self._manner, "block")
        self._replaying.begin_block()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        replaying = self._replaying
        assert replaying is not None
        if error is None:
            replaying.tape.finish()
        replaying.end_block()
        self.verdict, self.caveats = replaying.tape.verdict()
        latched = replaying.tape.latched
        if latched is not None and not isinstance(error, ReplayDivergence):
            raise ReplayDivergence(latched.code, latched.report) from error
