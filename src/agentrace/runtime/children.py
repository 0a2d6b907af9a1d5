"""What a child process is told of the run that started it, through its environment."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from typing import Final

from agentrace.capture.carriers import TOLD
from agentrace.capture.process import Recording
from agentrace.capture.runs import place_as_text, place_from
from agentrace.capture.scope import Flow
from agentrace.events import Parent

PARENT: Final = "AGENTRACE_PARENT"
"""``RUN_ID:STEP:FLOW`` of the place that started this process."""
HOME: Final = "AGENTRACE_HOME"
"""The store directory."""
BOOT: Final = "AGENTRACE_BOOT"
"""Directory with the ``sitecustomize`` of ``agentrace run``; set while a process tree is recorded by that command."""
BOOT_DIRECTORY: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "boot")


def parent_of(environ: Mapping[str, str]) -> Parent:
    """The parent that the environment names; none if it names none, or badly."""
    return place_from(environ.get(PARENT))


def parent_here() -> Parent:
    """What this process was told of its parent, as a child of a fork server or else by its environment."""
    spawn = sys.modules.get("multiprocessing.spawn")
    begin = getattr(getattr(spawn, "_main", None), "__code__", None)
    frame = sys._current_frames().get(threading.main_thread().ident or 0) if begin is not None else None
    while frame is not None and frame.f_code is not begin:
        frame = frame.f_back
    told = {} if frame is None else frame.f_locals.get("preparation_data", {})
    return place_from(told[TOLD]) if TOLD in told else parent_of(os.environ)


def branch_process(recording: Recording) -> Parent:
    """The place of a child process that the calling code is about to start."""
    flow = recording.flow()
    place = f"{flow.step_path}/{flow.branch('process').path}"
    if not flow.run.opened and _is_child(recording, flow):  # e.g. a fork server: it takes no steps of its own
        return Parent(recording.parent.run_id, recording.parent.step_id, f"{recording.parent.flow}{place}")
    return Parent(flow.run.id, flow.parent, place)


def _is_child(recording: Recording, flow: Flow) -> bool:
    """Whether this is the run of a process that another one has started."""
    return bool(recording.parent.run_id) and flow.run is recording.implicit()


def place(recording: Recording) -> str:
    """What a child process that the calling code is about to start is told as its parent."""
    flow = recording.flow()
    if not _is_child(recording, flow):
        flow.run.open()  # a child may only name a run that exists
    return place_as_text(branch_process(recording))


def environment(recording: Recording, home: str, given: Mapping[str, str], boot: str = "") -> dict[str, str]:
    """What to add to ``given``, the environment that the program has chosen for a child.

    With a ``boot`` directory, or in a tree that has one, a child begins with what is there.
    """
    added = {PARENT: place(recording)}
    if given.get(HOME) == os.environ.get(HOME):  # a program may give its child a store of its own
        added[HOME] = home
    boot = os.environ.get(BOOT, boot)
    if boot:
        paths = given.get("PYTHONPATH")
        added["PYTHONPATH"] = f"{boot}{os.pathsep}{paths}" if paths else boot
        added[BOOT] = boot
    return added
