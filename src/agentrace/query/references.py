"""How runs are named by people: ``@last``, ``@last~2``, the beginning of an id, a name; ``RUN:STEP`` for a step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from agentrace.errors import RunNotFound
from agentrace.ids import format_run_id, parse_run_id
from agentrace.query.summaries import Head

_LAST: Final = re.compile(r"@last(?:~(\d{1,9}))?")
_STEP: Final = re.compile(r"(.+):(\d{1,18})", re.DOTALL)
_ID_PREFIX: Final = re.compile(r"[0-9a-fA-F][0-9a-fA-F-]{3,35}")
_CANDIDATES: Final = 6


def split_step(text: str) -> tuple[str, int]:
    """The run and the step of ``RUN:STEP``; the step is 0 if the text names none."""
    found = _STEP.fullmatch(text)
    return (found[1], int(found[2])) if found else (text, 0)


def resolve(
    text: str, ids: Sequence[bytes], heads: Callable[[], Iterable[Head]], roots: Callable[[], Iterable[Head]]
) -> bytes:
    """The run that ``text`` names. Raises ``RunNotFound``.

    ``ids`` are those of all runs; ``heads`` gives all runs, ``roots`` the ones that no other run started,
    both newest first. Only what is asked for is read.
    """
    if not ids:
        raise RunNotFound("the store holds no runs", do="record one: agentrace run python agent.py")
    last = _LAST.fullmatch(text)
    if last:
        return _nth(roots(), int(last[1] or 0), text)
    by_id = _by_id(text, ids)
    if len(by_id) == 1:
        return by_id[0]
    named = next((head.run_id for head in heads() if head.name == text), None)
    if named is not None:
        return named
    if by_id:
        raise _ambiguous(text, by_id, heads())
    raise _unknown(text, heads())


def _nth(roots: Iterable[Head], back: int, text: str) -> bytes:
    found = list(islice(roots, back + 1))
    if len(found) > back:
        return found[back].run_id
    count = len(found)
    raise RunNotFound(
        f"{text} is further back than the store goes: it holds {count} run{'' if count == 1 else 's'}",
        do=f"the oldest is @last~{count - 1}",
    )


def _by_id(text: str, ids: Sequence[bytes]) -> list[bytes]:
    """The runs whose id is, or begins with, ``text``; hyphens do not count."""
    if not _ID_PREFIX.fullmatch(text):
        return []
    try:
        return [whole] if (whole := parse_run_id(text)) in set(ids) else []
    except ValueError:
        digits = text.replace("-", "").lower()
        return [run_id for run_id in ids if run_id.hex().startswith(digits)]


def _ambiguous(text: str, found: Sequence[bytes], heads: Iterable[Head]) -> RunNotFound:
    wanted = set(found)
    shown = islice((head for head in heads if head.run_id in wanted), _CANDIDATES)
    lines = [f"    {format_run_id(head.run_id)}  {head.name}" for head in shown]
    more = [f"    and {len(found) - _CANDIDATES} more"] if len(found) > _CANDIDATES else []
    return RunNotFound(
        "\n".join([f"{text} is the beginning of {len(found)} run ids:", *lines, *more]),
        do="type more of the id",
    )


def _unknown(text: str, heads: Iterable[Head]) -> RunNotFound:
    import difflib

    known = list(heads)
    names = list(dict.fromkeys(head.name for head in known if head.name))
    lost = [head.run_id.hex()[:12] for head in known if not head.name and not head.started_ts]
    close = difflib.get_close_matches(text, names, n=3, cutoff=0.6)
    do = f"did you mean {' or '.join(close)}?" if close else "`agentrace ls` shows what there is"
    what = f"no run of the store is called {text!r}, and no id begins like that"
    if lost:  # it may be one of these
        shown = " ".join(lost[:_CANDIDATES])
        names_of = "the name of 1 run" if len(lost) == 1 else f"the names of {len(lost):,} runs"
        what += f"; {names_of} cannot be read"
        do = f"{do}; `agentrace verify {shown}` tells what is damaged"
    return RunNotFound(what, do=do)
