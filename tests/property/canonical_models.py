"""Classes of every kind that a program may keep its data in, strategies for their instances, and an equality that is
not fooled: by type, by the sign of zero, by the order of keys, by what pydantic keeps beside the fields."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import pathlib
import struct
import uuid
import zoneinfo
from typing import Any, Generic, NamedTuple, TypeVar

import attrs
import msgspec
import pydantic
from hypothesis import strategies as st

T = TypeVar("T")


@dataclasses.dataclass
class Plain:
    a: Any
    b: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    a: Any


@dataclasses.dataclass(kw_only=True)
class Derived(Plain):
    c: Any = 0


@dataclasses.dataclass(slots=True)
class Unset:
    a: Any
    b: Any = dataclasses.field(init=False)


@dataclasses.dataclass
class Box(Generic[T]):
    item: T


@attrs.define
class Sprocket:
    a: Any
    _private: Any = None


@attrs.frozen(slots=False)
class Gear:
    a: Any


class Note(msgspec.Struct):
    a: Any
    b: Any = None


class FrozenNote(msgspec.Struct, frozen=True, kw_only=True, tag="n"):
    a: Any


class OpenNote(msgspec.Struct, dict=True):
    a: Any


class Point(NamedTuple):
    x: Any
    y: Any = 0


class Message(pydantic.BaseModel):
    role: Any = "user"
    content: Any = pydantic.Field(default=None, alias="contentText")
    _seen: Any = pydantic.PrivateAttr(default=0)
    _unset: Any = pydantic.PrivateAttr()


class Open(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="allow", frozen=True)
    a: Any = None


class Colour(enum.Enum):
    RED = "r"
    BLUE = (1, 2)


class Mode(enum.StrEnum):
    FAST = "fast"


class Level(enum.IntEnum):
    LOW = 1
    BELOW = -1


class Right(enum.Flag):
    READ = 1
    WRITE = 2
    ALL = 3


class Bits(enum.IntFlag):
    ONE = 1
    FOUR = 4


ENUMS = st.sampled_from([*Colour, *Mode, *Level, *Right, Right(0), Right.READ, Bits.ONE | Bits.FOUR, Bits(8), Bits.ONE])
ZONES = st.one_of(
    st.none(),
    st.sampled_from(["Europe/Oslo", "America/New_York", "UTC"]).map(zoneinfo.ZoneInfo),
    st.timedeltas(datetime.timedelta(hours=-23), datetime.timedelta(hours=23)).map(datetime.timezone),
    st.just(datetime.timezone(datetime.timedelta(hours=1), "CET")),
    st.just(datetime.UTC),
)
TEXTS = st.one_of(st.text(max_size=20), st.text(st.characters(), max_size=6), st.text(min_size=520, max_size=560))
"""Also such as UTF-8 cannot say, and such as are stored by themselves."""
PATHS = st.builds(
    lambda cls, text: cls(text),
    st.sampled_from([pathlib.PosixPath, pathlib.PurePosixPath, pathlib.PureWindowsPath]),
    st.one_of(st.just("/a/b"), st.just("c:\\x"), st.just("/x\udcff"), st.text(max_size=5)),
)
INTS = st.one_of(
    st.integers(),
    st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1]),
    st.integers(2_000, 2_100).map(lambda bits: -(1 << bits)),
)
KEYS = st.one_of(
    st.none(),
    st.booleans(),
    INTS,
    st.floats(),
    TEXTS,
    st.binary(max_size=8),
    st.decimals().filter(lambda number: not number.is_snan()),
    st.uuids(),
    ENUMS,
    st.builds(datetime.datetime.replace, st.datetimes(timezones=ZONES), fold=st.sampled_from([0, 1])),
    st.dates(),
    st.builds(datetime.time.replace, st.times(timezones=ZONES), fold=st.sampled_from([0, 1])),
    st.timedeltas(),
    PATHS,
    st.complex_numbers(),
    st.builds(range, st.integers(-9, 9), st.integers(), st.integers(1, 2**70)),
    st.sampled_from([..., NotImplemented]),
)
HASHABLE = st.recursive(
    KEYS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(tuple),
        st.frozensets(inner, max_size=3),
        st.builds(Point, inner, inner),
        st.builds(Frozen, inner),
    ),
    max_leaves=3,
)


def _unset(a: Any, b: Any) -> Unset:
    value = Unset(a)
    if b is not None:
        value.b = b
    return value


def _private(message: Message, seen: Any) -> Message:
    message._seen = seen
    return message


def _open_note(a: Any, more: dict[str, Any]) -> OpenNote:
    note = OpenNote(a)
    note.__dict__.update(more)
    return note


NAMES = st.text("abcxyz", min_size=4, max_size=8)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=6),
        st.lists(inner, max_size=4).map(tuple),
        st.sets(HASHABLE, max_size=4),
        st.frozensets(HASHABLE, max_size=4),
        st.dictionaries(TEXTS, inner, max_size=4),
        st.dictionaries(HASHABLE, inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=4).map(collections.OrderedDict),
        st.lists(st.text(max_size=1), max_size=5).map(collections.Counter),
        st.binary(max_size=600).map(bytearray),
        st.builds(Plain, inner, inner),
        st.builds(Frozen, inner),
        st.builds(Derived, inner, inner, c=inner),
        st.builds(_unset, inner, inner),
        st.builds(Box[int], inner),
        st.builds(Sprocket, inner, inner),
        st.builds(Gear, inner),
        st.builds(Note, inner, inner),
        st.builds(FrozenNote, a=inner),
        st.builds(_open_note, inner, st.dictionaries(NAMES, inner, max_size=2)),
        st.builds(Point, inner, inner),
        st.builds(Message),
        st.builds(_private, st.builds(Message, role=inner, contentText=inner), inner),
        st.builds(lambda a, more: Open(a=a, **more), inner, st.dictionaries(NAMES, inner, max_size=2)),
    )


VALUES = st.recursive(st.one_of(KEYS, st.binary(min_size=520, max_size=600)), _grown, max_leaves=12)
"""Everything that is promised to be told exactly."""


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types, all the way down."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return struct.pack("d", one) == struct.pack("d", other)
    if isinstance(one, complex):
        return same(one.real, other.real) and same(one.imag, other.imag)
    if isinstance(one, decimal.Decimal):
        return str(one) == str(other)
    if isinstance(one, (datetime.datetime, datetime.time)):
        zone = one.tzinfo
        names = zone is None or str(zone) == str(other.tzinfo)
        return (
            names
            and one.replace(tzinfo=None) == other.replace(tzinfo=None)
            and one.fold == other.fold
            and type(zone) is type(other.tzinfo)
        )
    if isinstance(one, (set, frozenset)):
        return _same_elements(one, other)
    if isinstance(one, dict):
        return same(list(one.items()), list(other.items()))
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, enum.Enum):
        return one is other or (one._value_ == other._value_ and one.name == other.name)
    if isinstance(one, (bytes, bytearray, str, int, pathlib.PurePath, uuid.UUID, type(None))):
        return bool(one == other)
    return same(_content(one), _content(other)) if hasattr(type(one), "__module__") and _content(one) else one == other


def _same_elements(one: Any, other: Any) -> bool:
    """Whether each element has its equal in the other set. Lookup by hash is no help: a NaN is equal to none."""
    rest = list(other)
    for item in one:
        found = next((index for index, candidate in enumerate(rest) if same(item, candidate)), None)
        if found is None:
            return False
        del rest[found]
    return not rest


def _content(value: Any) -> dict[str, Any]:
    """What an instance of one of the classes above consists of."""
    content: dict[str, Any] = dict(getattr(value, "__dict__", {}))
    content.pop("__orig_class__", None)
    for cls in type(value).__mro__:
        slots = getattr(cls, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__weakref__", "__dict__") and hasattr(value, name):
                content[name] = getattr(value, name)
    for name in getattr(type(value), "__struct_fields__", ()):
        content[name] = getattr(value, name)
    return dict(sorted(content.items()))
