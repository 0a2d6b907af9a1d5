"""What ``run`` and ``replay`` make of a command line and an environment before they start it."""

from __future__ import annotations

import pytest

from agentrace.cli.launch import BOOT, environment, not_recorded_because

ISOLATED = {
    "python -E a.py": "-E: PYTHONPATH is ignored",
    "python3.11 -I a.py": "-I: the interpreter is isolated",
    "/usr/bin/python -S -m a": "-S: site is not imported",
    "python -BuE a.py": "-E: PYTHONPATH is ignored",
    "python -W ignore -I a.py": "-I: the interpreter is isolated",
    "python -Xdev -X utf8 --check-hash-based-pycs always -S a.py": "-S: site is not imported",
}


@pytest.mark.parametrize("line", ISOLATED)
def test_isolation_is_told(line: str) -> None:
    assert not_recorded_because(line.split()) == ISOLATED[line]


@pytest.mark.parametrize(
    "line",
    [
        "python",
        "python a.py -I",
        "python -Wdefault::SyntaxWarning a.py",
        "python -W ImportWarning a.py",
        "python -XE a.py",
        "python -c 1 -I",
        "python -cprint('ES')",
        "python -mSpam -E",
        "python -um Eggs",
        "python - -S",
        "python --version",
        "sh -E script",
        "poetry run python -I a.py",
    ],
)
def test_what_only_looks_like_isolation_is_not(line: str) -> None:
    assert not_recorded_because(line.split()) == ""


@pytest.mark.parametrize(
    ("given", "made"),
    [({}, BOOT), ({"PYTHONPATH": ""}, BOOT), ({"PYTHONPATH": ":a::b:"}, f"{BOOT}::a::b:")],
)
def test_the_paths_of_the_environment_stay_as_they_are(given: dict[str, str], made: str) -> None:
    assert environment(given, {})["PYTHONPATH"] == made


def test_a_hash_seed_is_kept_restored_or_made_up() -> None:
    assert environment({"PYTHONHASHSEED": "0"}, {})["PYTHONHASHSEED"] == "0"
    assert environment({"PYTHONHASHSEED": "0"}, {}, "7")["PYTHONHASHSEED"] == "7"
    made = {environment({"PYTHONHASHSEED": given}, {})["PYTHONHASHSEED"] for given in ("", "random")}
    assert len(made) == 2
    assert all(0 < int(seed) < 2**32 for seed in made)
