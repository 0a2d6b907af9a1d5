"""Settings are found where they are said to be, in the order they are said to be, and nothing is guessed."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrace import config
from agentrace.config import Settings, load, sources, variable
from agentrace.config.values import KINDS
from agentrace.errors import AgentraceWarning, ConfigError

NAMES = [field.name for field in msgspec.structs.fields(Settings)]
TEXTS = ["workflow", "agent", "session_id", "tenant", "workspace", "project", "operator"]


class Place:
    """A working directory three levels below a root, a home directory, and the environment that names it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cwd = root / "code" / "shop" / "scripts"
        self.cwd.mkdir(parents=True)
        self.user = root / "user"
        self.environ = {"HOME": str(self.user)}

    def load(self, **arguments: object) -> Settings:
        return load(arguments, environ=self.environ, cwd=self.cwd)

    def pyproject(self, text: str, directory: str = "code/shop") -> Path:
        return self.write(f"{directory}/pyproject.toml", text)

    def write(self, name: str, text: str) -> Path:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


# --- precedence ---------------------------------------------------------------------------------------------


@given(
    name=st.sampled_from(TEXTS),
    values=st.fixed_dictionaries({place: st.none() | st.from_regex(r"[a-z]{1,8}", fullmatch=True) for place in "aecp"}),
)
def test_the_first_place_that_has_a_setting_wins(
    tmp_path_factory: pytest.TempPathFactory, name: str, values: dict[str, str | None]
) -> None:
    place = Place(tmp_path_factory.mktemp("place"))
    store = place.root / "store"
    place.environ["AGENTRACE_HOME"] = str(store)
    if values["e"] is not None:
        place.environ[variable(name)] = values["e"]
    if values["c"] is not None:
        place.write("store/config.toml", f'{name} = "{values["c"]}"')
    if values["p"] is not None:
        place.pyproject(f'[tool.agentrace]\n{name} = "{values["p"]}"')

    settings = place.load(**{name: values["a"]})

    expected = next((v for v in (values[k] for k in "aecp") if v is not None), None)
    assert settings == Settings(**{"home": store, name: expected})


def test_without_anything_set_every_setting_has_its_default(place: Place) -> None:
    settings = place.load()

    assert settings == Settings(home=place.user / ".local/share/agentrace")
    assert sources(environ=place.environ, cwd=place.cwd) == {"home": "the user's data directory"}


def test_sources_name_the_place_of_each_setting(place: Place) -> None:
    place.environ |= {"AGENTRACE_AGENT": "clerk"}
    project = place.pyproject('[tool.agentrace]\nhome = "runs"\nagent = "other"\ntenant = "acme"')
    store = place.write("code/shop/runs/config.toml", "seal = false")

    found = sources({"workflow": "checkout"}, environ=place.environ, cwd=place.cwd)

    assert found == {
        "home": f"[tool.agentrace] home in {project}",
        "tenant": f"[tool.agentrace] tenant in {project}",
        "seal": f"seal in {store}",
        "agent": "the environment variable AGENTRACE_AGENT",
        "workflow": "the argument workflow",
    }


def test_none_and_empty_variables_are_not_given(place: Place) -> None:
    place.environ |= {"AGENTRACE_WORKFLOW": "", "AGENTRACE_DISABLED": " ", "AGENTRACE_HOME": ""}
    place.pyproject('[tool.agentrace]\nworkflow = "checkout"')

    settings = place.load(workflow=None, home=None)

    assert settings == Settings(home=place.user / ".local/share/agentrace", workflow="checkout")


# --- the store directory ------------------------------------------------------------------------------------


def test_the_nearest_store_upward_is_taken(place: Place) -> None:
    (place.root / ".agentrace").mkdir()
    nearest = place.root / "code" / ".agentrace"
    nearest.mkdir()
    (place.cwd / ".agentrace").write_text("a file is no store")

    assert place.load().home == nearest


def test_a_project_without_a_store_gets_none_unasked(place: Place) -> None:
    (place.cwd / ".git").mkdir()
    place.pyproject("[project]\nname = 'shop'", "code/shop/scripts")

    assert place.load().home == place.user / ".local/share/agentrace"


@pytest.mark.parametrize(
    ("data_home", "expected"), [("/data", "/data/agentrace"), ("data", "{user}/.local/share/agentrace")]
)
def test_the_data_directory_follows_xdg(place: Place, data_home: str, expected: str) -> None:
    place.environ["XDG_DATA_HOME"] = data_home

    assert place.load().home == Path(expected.format(user=place.user))


def test_a_relative_home_counts_from_where_it_is_written(place: Place) -> None:
    place.pyproject('[tool.agentrace]\nhome = "runs"')
    assert place.load().home == place.root / "code/shop/runs"

    place.environ["AGENTRACE_HOME"] = "runs"
    assert place.load().home == place.cwd / "runs"
    assert place.load(home=Path("mine")).home == place.cwd / "mine"


def test_a_tilde_is_the_user_directory(place: Place) -> None:
    assert place.load(home="~/runs").home == Path.home() / "runs"


def test_a_store_that_anyone_could_have_laid_down_is_passed_over(place: Place) -> None:
    shared = place.root / "code"
    (shared / ".agentrace").mkdir()
    planted = place.pyproject('[tool.agentrace]\nworkflow = "theirs"', "code")
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to another user")
    os.chown(shared / ".agentrace", 12345, -1)
    os.chown(planted, 12345, -1)

    shared.chmod(0o755)
    assert (place.load().home, place.load().workflow) == (shared / ".agentrace", "theirs")
    shared.chmod(0o1777)
    assert (place.load().home, place.load().workflow) == (place.user / ".local/share/agentrace", None)


def test_a_store_of_ours_counts_in_a_shared_directory(place: Place) -> None:
    shared = place.root / "code"
    (shared / ".agentrace").mkdir()
    shared.chmod(0o1777)

    assert place.load().home == shared / ".agentrace"


def test_without_a_home_directory_the_error_says_what_to_set(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "~")

    with pytest.raises(ConfigError, match="AGENTRACE_HOME") as caught:
        load(environ={}, cwd=place.cwd)
    assert caught.value.slug == "config-no-home"


def test_the_nearest_pyproject_that_has_our_table_counts(place: Place) -> None:
    place.pyproject('[tool.agentrace]\nworkflow = "outer"', "code")
    place.pyproject('[tool.agentrace]\nagent = "inner"', "code/shop")
    place.pyproject("[project]\ndependencies = ['agentrace']", "code/shop/scripts")

    settings = place.load()

    assert (settings.agent, settings.workflow) == ("inner", None)


def test_a_broken_pyproject_that_is_not_about_us_is_left_alone(place: Place) -> None:
    place.pyproject("[project\nbroken")

    assert place.load().workflow is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool.agentrace\n", "not valid TOML"),
        ("[tool]\nagentrace = 3", "no table"),
        ("# agentrace \udcff", "not valid TOML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(place: Place, text: str, says: str) -> None:
    file = place.root / "code/shop/pyproject.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))

    with pytest.raises(ConfigError, match=says) as caught:
        place.load()
    assert str(file) in str(caught.value)
    assert caught.value.slug == "config-file"


def test_a_directory_where_a_file_should_be_is_named(place: Place) -> None:
    (place.root / "store" / "config.toml").mkdir(parents=True)

    with pytest.raises(ConfigError, match=r"config\.toml cannot be read"):
        place.load(home=place.root / "store")


def test_the_store_cannot_say_where_it_is(place: Place) -> None:
    place.write("store/config.toml", 'home = "elsewhere"')

    with pytest.raises(ConfigError) as caught:
        place.load(home=place.root / "store")
    assert caught.value.slug == "config-home-in-store"


# --- values -------------------------------------------------------------------------------------------------

ACCEPTED: list[tuple[str, str, object, Any]] = [
    ("disabled", "TRUE", True, True),
    ("disabled", "off", False, False),
    ("seal", "no", False, False),
    ("on_error", "raise", "raise", "raise"),
    ("durability", "power", "power", "power"),
    ("redact", "strict", "strict", "strict"),
    ("redact_patterns", "a{1,2}\n\n[0-9]{16}", ["a{1,2}", "[0-9]{16}"], ("a{1,2}", "[0-9]{16}")),
    ("tools", "shop.tools:*, lookup ,", ("shop.tools:*", "lookup"), ("shop.tools:*", "lookup")),
    ("tools", "auto,__main__:[ab]?*", ["auto", "__main__:[ab]?*"], ("auto", "__main__:[ab]?*")),
    ("record_env", "LANG,TZ", ["LANG", "TZ"], ("LANG", "TZ")),
    ("session_id", "s-1", "s-1", "s-1"),
    ("exit_timeout", "0.5", 0.5, 0.5),
    ("exit_timeout", "3", 3, 3.0),
]


@pytest.mark.parametrize(("name", "text", "value", "expected"), ACCEPTED)
def test_a_setting_reads_the_same_from_text_and_from_a_value(
    place: Place, name: str, text: str, value: object, expected: object
) -> None:
    from_value = getattr(place.load(**{name: value}), name)
    place.environ[variable(name)] = text
    from_text = getattr(place.load(), name)

    assert from_value == from_text == expected
    assert type(from_value) is type(from_text) is type(expected)


REFUSED: list[tuple[str, object]] = [
    ("home", 3),
    ("home", b"bytes"),
    ("home", "nul\0"),
    ("disabled", 1),
    ("disabled", "true"),
    ("on_error", "ignore"),
    ("durability", True),
    ("redact", ["strict"]),
    ("redact_patterns", ["("]),
    ("redact_patterns", "a-pattern"),
    ("tools", "shop.tools:*"),
    ("tools", [3]),
    ("tools", [""]),
    *(("tools", [pattern]) for pattern in ("[", "shop.tools", "shop.tools:", ":lookup", "shop:lookup:*", "Auto")),
    ("retrievers", ["auto"]),
    ("workflow", ""),
    ("workflow", 7),
    ("exit_timeout", -1),
    ("exit_timeout", True),
    ("exit_timeout", float("nan")),
    ("exit_timeout", float("inf")),
    ("exit_timeout", "2"),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_value_of_the_wrong_type_names_its_place_and_what_is_wanted(place: Place, name: str, value: object) -> None:
    with pytest.raises(ConfigError) as caught:
        place.load(**{name: value})

    assert caught.value.slug == "config-value"
    assert f"the argument {name} is {value!r}" in str(caught.value)
    assert config.expects(name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [("tools", "["), ("disabled", "maybe"), ("on_error", "WARN"), ("exit_timeout", "soon"), ("redact_patterns", "a(")],
)
def test_a_wrong_variable_is_named(place: Place, name: str, text: str) -> None:
    place.environ[variable(name)] = text

    with pytest.raises(ConfigError, match=f"the environment variable {variable(name)} is '"):
        place.load()


def test_a_wrong_value_in_a_file_names_file_and_key(place: Place) -> None:
    file = place.pyproject('[tool.agentrace]\ndurability = "fast"')

    with pytest.raises(ConfigError) as caught:
        place.load()
    assert caught.value.what == f"[tool.agentrace] durability in {file} is 'fast'"
    assert caught.value.do == 'give it "process" or "power"'


# --- names --------------------------------------------------------------------------------------------------


def test_a_misspelt_argument_is_an_error_with_the_right_name(place: Place) -> None:
    with pytest.raises(ConfigError, match="did you mean durability") as caught:
        place.load(durabilty="power")
    assert caught.value.slug == "config-unknown"


def test_a_misspelt_key_is_an_error_that_names_the_file(place: Place) -> None:
    file = place.write("store/config.toml", "sael = true")

    with pytest.raises(ConfigError, match="did you mean seal") as caught:
        place.load(home=place.root / "store")
    assert f"sael in {file}" in caught.value.what


def test_a_name_that_resembles_nothing_gets_the_list(place: Place) -> None:
    with pytest.raises(ConfigError) as caught:
        place.load(zzz=1)
    assert all(name in caught.value.do for name in NAMES)


def test_a_misspelt_variable_warns_and_stops_nothing(place: Place) -> None:
    place.environ["AGENTRACE_WORKFLW"] = "checkout"

    with pytest.warns(AgentraceWarning, match="AGENTRACE_WORKFLW .* did you mean AGENTRACE_WORKFLOW"):
        assert place.load().workflow is None


def test_a_variable_that_is_not_for_people_is_not_suggested(place: Place) -> None:
    place.environ["AGENTRACE_REPLY"] = "1"

    with pytest.warns(AgentraceWarning, match="AGENTRACE_REPLY is no setting") as caught:
        place.load()
    assert "AGENTRACE_REPLAY" not in str(caught[0].message)


def test_internal_variables_are_known(place: Place) -> None:
    internal = ("PARENT", "REPLAY", "BOOT", "SOAK", "DEBUG")
    place.environ |= {f"AGENTRACE_{name}": "x" for name in internal}

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert place.load() == Settings(home=place.user / ".local/share/agentrace")


# --- switched off -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["variable", "argument"])
def test_switched_off_nothing_else_can_be_wrong(place: Place, by: str) -> None:
    place.pyproject("[tool.agentrace]\nnonsense = 1")
    place.environ["AGENTRACE_DURABILITY"] = "fast"
    if by == "variable":
        place.environ["AGENTRACE_DISABLED"] = "Yes"

    settings = place.load(**({"disabled": True} if by == "argument" else {}))

    assert settings.disabled


def test_switched_on_in_code_beats_off_in_the_environment(place: Place) -> None:
    place.environ["AGENTRACE_DISABLED"] = "1"
    place.pyproject("[tool.agentrace]\nnonsense = 1")

    with pytest.raises(ConfigError, match="nonsense"):
        place.load(disabled=False)


def test_settings_cannot_be_changed(place: Place) -> None:
    settings = place.load()

    with pytest.raises(AttributeError):
        settings.seal = False  # type: ignore[misc]


def test_every_setting_has_a_kind() -> None:
    assert list(KINDS) == NAMES
    assert config.expects("on_error") == '"warn" or "raise"'
