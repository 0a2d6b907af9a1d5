"""What a child process is told of the run that started it, through its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from agentrace.capture.process import Recording
from agentrace.events import Parent
from agentrace.ids import format_run_id, parse_run_id

PARENT: Final = "AGENTRACE_PARENT"
"""``RUN_ID:STEP:FLOW`` of the place that started this process."""
HOME: Final = "AGENTRACE_HOME"
"""The store directory."""
BOOT: Final = "AGENTRACE_BOOT"
"""Directory with the ``sitecustomize`` of ``agentrace run``; set while a process tree is recorded by that command."""
BOOT_DIRECTORY: Final = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "boot")


def parent_of(environ: Mapping[str, str]) -> Parent:
    """The parent that the environment names; none if it names none, or badly."""
    run_id, _, rest = environ.get(PARENT, "").partition(":")
    step, _, flow = rest.partition(":")
    try:
        return Parent(parse_run_id(run_id), int(step), flow)
    except ValueError:
        return Parent()


def branch_process(recording: Recording) -> Parent:
    """The place of a child process that the calling code is about to start."""
    flow = recording.flow()
    place = f"{flow.step_path}/{flow.branch('process').path}"
    if not flow.run.opened and recording.parent.run_id:  # e.g. a fork server: it takes no steps of its own
        return Parent(recording.parent.run_id, recording.parent.step_id, f"{recording.parent.flow}{place}")
    return Parent(flow.run.id, flow.parent, place)


def environment(recording: Recording, home: str, given: Mapping[str, str], boot: str = "") -> dict[str, str]:
    """What to add to ``given``, the environment that the program has chosen for a child.

    With a ``boot`` directory, or in a tree that has one, a child begins with what is there.
    """
    if not recording.parent.run_id:
        recording.flow().run.open()  # a child may only name a run that exists
    parent = branch_process(recording)
    added = {PARENT: f"{format_run_id(parent.run_id)}:{parent.step_id}:{parent.flow}"}
    if given.get(HOME) == os.environ.get(HOME):  # a program may give its child a store of its own
        added[HOME] = home
    boot = os.environ.get(BOOT, boot)
    if boot:
        paths = given.get("PYTHONPATH")
        added["PYTHONPATH"] = f"{boot}{os.pathsep}{paths}" if paths else boot
        added[BOOT] = boot
    return added
