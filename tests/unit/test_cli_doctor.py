"""What ``agentrace doctor`` finds, and what it says about it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from agentrace import events
from agentrace.cli import execute
from agentrace.cli.doctor import examination_lines
from agentrace.cli.examination import Examination, Finding, examine
from agentrace.cli.terminal import Terminal
from agentrace.cli.units import size
from agentrace.integrations.catalogue import installed_version
from agentrace.version import VERSION
from tests.unit.recorded_runs import Process

HERE = Path(sys.executable).parent


def script(directory: Path, name: str, text: str) -> Path:
    """A program on its own."""
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


def found(tmp_path: Path, **environ: str) -> Examination:
    """What is found in an environment of one's own."""
    given = {"HOME": str(tmp_path), "PATH": str(tmp_path / "nothing"), **environ}
    return examine(tmp_path / "store", given)


def of_level(findings: list[Finding], *levels: str) -> list[str]:
    return [finding.text for finding in findings if finding.level in levels]


def test_where_all_is_well_a_program_is_recorded(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    process.run("agent").end(1)
    process.close()

    report = found(tmp_path)

    assert report.able_to_record
    assert (report.version, report.runs, report.store_path) == (VERSION, 1, str(tmp_path / "store"))
    assert report.store_size > 0
    assert of_level([*report.interpreter, *report.store], "problem", "warning") == []


def test_the_format_of_the_store_and_what_is_left_over_are_told(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    process.run("agent").end(1)
    process.close()
    (tmp_path / "store" / "derived").mkdir(exist_ok=True)
    (tmp_path / "store" / "derived" / ("ab" * 16)).write_text("of a run that is gone")

    report = found(tmp_path)

    assert report.store_format == 1
    assert report.left_over > 0
    told = "\n".join(examination_lines(report, Terminal()))
    assert f", format 1\n    {size(report.left_over)} of it belong to no run; `agentrace gc` tells what\n" in told
    (tmp_path / "store" / "format").write_text("2\n")
    refused = found(tmp_path)
    assert not refused.able_to_record
    assert any("is of format 2" in text for text in of_level(refused.store, "problem"))


def test_a_store_that_is_not_there_yet_is_no_problem(tmp_path: Path) -> None:
    report = found(tmp_path)

    assert report.able_to_record
    assert "it does not exist yet: the first run makes it" in of_level(report.store, "ok")


def test_a_store_that_cannot_be_a_directory_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")

    report = found(tmp_path)

    assert not report.able_to_record
    assert of_level(report.store, "problem") == [f"{tmp_path / 'store'} cannot be written by this user"]


def test_recording_that_is_switched_off_is_a_problem(tmp_path: Path) -> None:
    report = found(tmp_path, AGENTRACE_DISABLED="1")

    assert not report.able_to_record
    assert of_level(report.interpreter, "problem") == ["recording is switched off by the setting disabled"]


def test_every_setting_is_told_with_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "config.toml").write_text('agent = "shop"\n')

    settings = {setting.name: setting for setting in found(tmp_path, AGENTRACE_TOOLS="a,b").settings}

    assert (settings["tools"].value, settings["tools"].source) == (
        ("a", "b"),
        "the environment variable AGENTRACE_TOOLS",
    )
    assert (settings["agent"].value, settings["agent"].source) == (
        "shop",
        f"agent in {tmp_path / 'store' / 'config.toml'}",
    )
    assert (settings["redact"].value, settings["redact"].source) == ("default", "the default")
    assert settings["home"].value == str(tmp_path / "store")


def test_commands_of_this_environment_are_right(tmp_path: Path) -> None:
    commands = found(tmp_path, PATH=str(HERE)).commands

    assert of_level(commands, "ok")[-1].startswith("python")
    assert not [text for text in of_level(commands, "warning") if text.startswith("python")]


def test_a_python_that_cannot_import_agentrace_is_told(tmp_path: Path) -> None:
    python = script(tmp_path / "bin", "python", "exit 1")

    commands = found(tmp_path, PATH=str(tmp_path / "bin")).commands

    assert of_level(commands, "warning") == [
        "agentrace is not on PATH",
        f"python is {python}, which cannot import agentrace: it records nothing",
    ]
    assert commands[1].do == f"install it there: {python} -m pip install agentrace"


def test_commands_of_other_environments_are_told(tmp_path: Path) -> None:
    ours = script(tmp_path / "bin", "agentrace", "exit 0")
    older = script(tmp_path / "bin", "python", "echo 0.0.1")
    same = script(tmp_path / "bin", "python3", f"echo {VERSION}")

    commands = found(tmp_path, PATH=str(tmp_path / "bin")).commands

    assert of_level(commands, "warning") == [
        f"agentrace on PATH is {ours}, of another environment than this one ({HERE})",
        f"python is {older}, which has agentrace 0.0.1, not {VERSION}",
    ]
    assert of_level(commands, "ok") == [f"python3 is {same}, which has agentrace {VERSION} too"]


def test_the_known_libraries_are_told(tmp_path: Path) -> None:
    libraries = found(tmp_path).libraries

    assert {finding.text.split()[0] for finding in libraries} >= {"httpx", "openai"}


def test_runs_that_used_websockets_are_told(tmp_path: Path) -> None:
    process = Process(tmp_path / "store")
    process.run("plain").end(1)
    talking = process.run("talking")
    talking.event(events.WorkflowDescribed, 0, 1, unsupported=["websocket connections are not recorded"])
    talking.end(2)
    process.close()

    told = of_level(found(tmp_path).libraries, "warning")

    assert told == ["websocket connections are not recorded, and 1 of the last 2 runs used them"]


def test_a_library_for_websockets_is_said_to_be_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "site" / "websocket_client-1.9.0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: websocket-client\nVersion: 1.9.0\n")
    monkeypatch.syspath_prepend(installed.parent)
    installed_version.cache_clear()

    told = of_level(found(tmp_path).libraries, "note")
    installed_version.cache_clear()

    assert "websocket-client 1.9.0 is not supported: websocket connections are not recorded" in told


def test_the_command_prints_what_was_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(HERE))
    home = ["--home", str(tmp_path / "store")]

    assert execute(["doctor", *home, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert execute(["doctor", *home]) == 0
    text = capsys.readouterr().out

    assert (told["able_to_record"], told["store_path"]) == (True, str(tmp_path / "store"))
    assert text.startswith(f"agentrace {VERSION}\n\ninterpreter\n")
    assert text.endswith("A program that is started here will be recorded.\n")


def test_the_exit_code_says_whether_programs_are_recorded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", os.fspath(HERE))
    monkeypatch.setenv("AGENTRACE_DISABLED", "1")

    assert execute(["doctor", "--home", str(tmp_path)]) == 1
    assert capsys.readouterr().out.endswith("A program that is started here will NOT be recorded.\n")


def test_findings_are_marked_by_how_bad_they_are(tmp_path: Path) -> None:
    report = found(tmp_path, AGENTRACE_DISABLED="1")

    lines = list(examination_lines(report, Terminal(unicode=False)))

    assert "  x recording is switched off by the setting disabled" in lines
    assert "      what to do: see settings below" in lines
    assert "  ! agentrace is not on PATH" in lines
