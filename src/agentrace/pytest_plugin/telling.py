"""What pytest shows of a test that diverged from its trace: the report, without a traceback through our own code."""

from __future__ import annotations

import shlex

import pytest

from agentrace.pytest_plugin.containing import is_divergence
from agentrace.pytest_plugin.tested import RunUnderTest


def tell(run: RunUnderTest, report: pytest.TestReport, excinfo: pytest.ExceptionInfo[BaseException] | None) -> None:
    """Note how a phase of the test ended; where it is a divergence that ended it, make that the failure.

    A failure of the test's own stays what is shown first; the divergence is told beside it.
    """
    run.phase_over(report.passed or report.skipped, is_skipped=report.skipped and not hasattr(report, "wasxfail"))
    if excinfo is None or (run.refusal is None and run.divergence is None):
        _tell_what_is_not_written(run, report)
        return
    ours = excinfo.value is run.refusal or (run.divergence is not None and is_divergence(excinfo.value))
    text = str(run.refusal) if run.divergence is None else divergence_text(run)
    if ours and run.is_told and report.when == "teardown":
        report.outcome, report.longrepr = "passed", None  # the same divergence, raised again at every further call
        return
    run.is_told = run.divergence is not None
    if ours and run.refusal is not None:
        report.outcome = "failed"  # whatever was expected of the test, this was not
        vars(report).pop("wasxfail", None)
    if not report.failed:
        return
    if not ours:
        if run.divergence is None:
            return
        report.sections.append(("agentrace: the test had diverged from its trace", text))
        return
    failure = pytest.fail.Exception(text, pytrace=False)
    report.longrepr = pytest.ExceptionInfo.from_exc_info((type(failure), failure, excinfo.tb)).getrepr(
        style="value", chain=False
    )
    if report.when == "setup":
        report.when = "call"  # what a fixture's call differs in, and a missing trace, are failures of the test


def divergence_text(run: RunUnderTest) -> str:
    """The report of a divergence, with where the test made the call, its trace, and how to record it anew."""
    found = run.divergence
    assert found is not None
    lines = [f"{found.code}: {found.report}"]
    if run.called_at:
        lines.append(f"  called at: {run.called_at}")
    if found.code == "UNPATCHED_NETWORK":
        lines.append(
            "  what to do: a test with a trace reaches no server, none of its own either; make the call a tool"
        )
    lines.append(f"  trace: {run.shown_path}")
    lines.append(f"  if this is how it should be, record it anew: pytest {shlex.quote(run.test)} --agentrace=refresh")
    return "\n".join(lines)


def _tell_what_is_not_written(run: RunUnderTest, report: pytest.TestReport) -> None:
    if report.failed and run.mode == "record":
        told = f"{run.shown_path} is {'left as it was' if run.path.exists() else 'not written'}"
        report.sections.append(("agentrace: nothing is recorded of a test that fails", told))
