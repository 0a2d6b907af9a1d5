"""The oldest supported versions keep the contract too: a few scenarios of it here, all of them in ``make versions``."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from agentrace.integrations.catalogue import known, satisfies
from tests.contract.versions import ROOT, SETS, NotInstallable, contract, environment

FEW = (
    "anthropic-message-sync or anthropic-tool-loop or anthropic-stream-async or anthropic-helper-final"
    " or anthropic-retried or anthropic-error-529 or anthropic-stream-cut or openai-chat-sync or openai-chat-stream-async"
    " or openai-retried or openai-error-400 or openai-stream-cut"
    " or urllib3-broken or urllib3-nobody-there or urllib3-cut or urllib3-streamed-gzip or requests-lines"
    " or aiohttp-lines-async or aiohttp-broken or aiohttp-nobody-there or spoken-aiohttp-chat-stream"
)


@pytest.mark.skipif(not os.environ.get("AGENTRACE_SOAK"), reason="`make versions` runs all of them; soak these")
def test_the_oldest_versions_keep_the_contract() -> None:
    try:
        python = environment("oldest")
    except NotInstallable as why:
        pytest.skip(f"the oldest versions cannot be installed here: {why}")

    done = contract(python, ["-k", FEW])

    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 100


PINS = sorted({pin for pins in SETS.values() for pin in pins if "==" in pin})


@pytest.mark.parametrize("pin", PINS)
def test_what_is_tested_is_supported_and_said_to_be(pin: str) -> None:
    name, _, version = pin.partition("==")
    (library,) = [library for library in known() if library.name == name]

    assert satisfies(version, library.requires)
    assert version in Path(ROOT / "docs" / "recording.md").read_text()


def test_the_oldest_set_is_the_oldest_that_is_supported() -> None:
    oldest = dict(pin.split("==") for pin in SETS["oldest"] if "==" in pin)

    for name, version in oldest.items():
        (library,) = [library for library in known() if library.name == name]
        least = library.requires.partition(">=")[2].partition(",")[0]
        assert version == f"{least}.0"
