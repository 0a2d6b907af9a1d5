"""Cassettes of vcrpy as runs: read without executing anything, told as a recording would tell them, and imported."""

from __future__ import annotations

from agentrace.vcr.cassette import Cassette, Interaction, read_cassette
from agentrace.vcr.importing import Found, Told, found_at, tell_all, told_in
from agentrace.vcr.telling import ToldRun, told

__all__ = [
    "Cassette",
    "Found",
    "Interaction",
    "Told",
    "ToldRun",
    "found_at",
    "read_cassette",
    "tell_all",
    "told",
    "told_in",
]
