"""Breaks of where runs begin and end, for ``make mutants``."""

from __future__ import annotations

from tests.mutant import Mutant

MUTANTS_OF_RUNS = (
    Mutant(
        "a body goes on at the root of its run",
        "capture/runs.py",
        "self._inside = self.run.root if inside is None or inside.run is not self.run else inside",
        "self._inside = self.run.root",
        ("tests/unit/test_run_requests.py::test_a_step_that_is_open_while_a_body_is_sent_encloses_what_comes_after",),
    ),
    Mutant(
        "a request that comes through the middleware twice is two runs",
        "capture/runs.py",
        "if here is not None and request.get(REQUEST) == format_run_id(here.run.id):",
        "if here is None and REQUEST in request:",
        ("tests/unit/test_run_requests.py::test_the_middleware_may_be_there_twice",),
    ),
    Mutant(
        "a request is opened before its route is known",
        "integrations/asgi.py",
        "if not self._begun.run.opened and _route(self._scope):",
        "if not self._begun.run.opened:",
        ("tests/unit/test_run_requests.py::test_a_request_is_on_disk_once_its_body_is_asked_for_and_its_route_known",),
    ),
    Mutant(
        "a request that the server cancels has failed",
        "integrations/asgi.py",
        "elif error is not None and is_cancellation(error) and not self._is_complete:",
        "elif False:",
        ("tests/unit/test_run_requests.py::test_a_request_that_is_cancelled_is_aborted_by_the_server",),
    ),
    Mutant(
        "what is more than a list is not closed inside its run",
        "integrations/wsgi.py",
        "if type(body) in (list, tuple) or _is_file(body, environ):",
        "if isinstance(body, (list, tuple)) or _is_file(body, environ):",
        ("tests/unit/test_run_requests.py::test_a_list_that_is_more_than_a_list_is_closed_inside_the_run",),
    ),
    Mutant(
        "a path is told as the characters that stand for its bytes",
        "integrations/wsgi.py",
        'return path.encode("latin-1", "replace").decode("utf-8", "replace")',
        "return path",
        ("tests/unit/test_run_requests.py::test_a_path_is_text",),
    ),
    Mutant(
        "the rule of Flask is not asked for",
        "integrations/wsgi.py",
        "return f\"{environ.get('SCRIPT_NAME', '')}{rule}\" if isinstance(rule, str) else \"\"",
        'return ""',
        ("tests/e2e/test_requests_frameworks.py",),
    ),
    Mutant(
        "a child of a fork server is below what started the server",
        "capture/carriers.py",
        'if sys._getframe(1).f_globals.get("__name__") == "multiprocessing.popen_forkserver":',
        "if False:",
        ("tests/e2e/test_process_pools.py",),
    ),
    Mutant(
        "a child of a recorded fork server does not look where it was asked for",
        "capture/carriers.py",
        "                arrived(data[TOLD])",
        "                pass",
        ("tests/e2e/test_process_pools.py",),
    ),
    Mutant(
        "what is asked of the system opens the run",
        "capture/carriers.py",
        'return frame is not None and frame.f_globals.get("__name__") in _ASKING',
        "return False",
        ("tests/e2e/test_process_trees.py::test_a_process_that_has_nothing_to_say_leaves_no_run",),
    ),
    Mutant(
        "timers open the run",
        "capture/recording.py",
        "if not self.opened and not self.closed and len(self._remarks) < _MOST_REMARKS:",
        "if False:",
        ("tests/e2e/test_process_trees.py::test_a_process_that_has_nothing_to_say_leaves_no_run",),
    ),
    Mutant(
        "what was remarked before a run began is lost",
        "capture/recording.py",
        "remarks, self._remarks = self._remarks, []",
        "remarks: list[Any] = []",
        ("tests/e2e/test_process_trees.py::test_a_process_that_has_nothing_to_say_leaves_no_run",),
    ),
    Mutant(
        "what the end of the process cut short has completed",
        "runtime/assembly.py",
        "        self._cut_short()\n",
        "",
        ("tests/e2e/test_process_trees.py",),
    ),
    Mutant(
        "jobs are taken for processes",
        "events.py",
        'return self.flow.rpartition("/")[2].startswith("job:")',
        "return False",
        ("tests/unit/test_cli_golden.py",),
    ),
)
