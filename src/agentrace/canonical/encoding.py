"""Python values into canonical bytes: typed, redacted, with large and repeated parts stored once beside them.

The encoder walks every container on every call, because agents mutate what they hold; only immutable leaves (str,
bytes) are remembered. Long lists that grow from call to call are told by what was added (see ``history``).
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

import msgspec
from blake3 import blake3
from msgspec import Raw
from msgspec.msgpack import Ext

from agentrace.canonical import tags
from agentrace.canonical.bodies import SMALLEST, BodyHistory
from agentrace.canonical.foreign import Row, row_of, told
from agentrace.canonical.history import History, ListKey, Unfolding, json_key, python_key
from agentrace.canonical.needs import Redaction, Sink
from agentrace.canonical.objects import Shape, described, shape_of, type_name, why_opaque
from agentrace.canonical.scalars import REBUILT, SCALARS, SUBCLASSES, is_text, whole_number

INLINE_LEAF: Final = 512
"""Characters or bytes from which a str or bytes is stored as a payload of its own."""
INLINE_VALUE: Final = 4096
"""Encoded bytes from which a whole value is stored as a payload."""
MAX_DEPTH: Final = 160
"""Nesting past which a value is opaque."""
_CYCLE_WATCH: Final = 8
"""Depth from which dicts are looked at for cycles, too; every other container always is."""
_ROOM: Final = 10_000
"""Containers of a value that are walked before anybody asks whether the same ones keep coming."""
_UNFOLDING: Final = 4
_FEW: Final = 1_000
_REMEMBERED_TEXTS: Final = 8192
_REMEMBERED_BYTES: Final = 8 << 20
_PLAIN_NUMBERS: Final = frozenset({int, float, bool, type(None)})

_encode = msgspec.msgpack.Encoder().encode


class Encoder:
    """Encodes the values of one run; safe to use from several threads."""

    def __init__(self, redaction: Redaction, sink: Sink) -> None:
        self._redaction = redaction
        self._sink = sink
        self._clean: set[str] = set()
        self._keys: dict[str, str | bool | None] = {}
        self._leaves: dict[str | bytes, Ext] = {}
        self._leaf_bytes = 0
        self._kept: set[bytes] = set()
        self._forgotten = 0
        self._shapes: dict[type, Shape | Row | None] = {}
        self._history = History(self._store)
        self._bodies = BodyHistory(self._store, self._without_secrets)
        self._idle: _Walk | None = None

    def encode(self, value: object) -> tuple[Raw, str]:
        """The canonical value and its fidelity."""
        return self._encode(value, python_key)

    def encode_json(self, value: object) -> tuple[Raw, str]:
        """The same for a value that goes over a wire as JSON, where a tuple is a list and an enum its value."""
        return self._encode(value, json_key)

    def forget(self) -> None:
        """Remember nothing: used when payloads may not have been kept, so that they are stored again."""
        self._forgotten += 1
        self._leaves = {}
        self._leaf_bytes = 0
        self._kept = set()
        self._history.forget()
        self._bodies.forget()

    def body(self, data: bytes) -> Raw:
        """The canonical value of a request's body, told by what differs from an earlier one where that is shorter."""
        return Raw(_encode(self._bytes(data) if len(data) < SMALLEST else self._bodies.reference(data)))

    def clean_bytes(self, data: bytes) -> Raw:
        """The canonical value of bytes that hold no secret any more."""
        return Raw(_encode(data if len(data) < INLINE_VALUE else self._store(data, "bytes")))

    def _without_secrets(self, data: bytes) -> bytes:
        found = self._redaction.data(data)
        return data if found is None else found.data

    def _encode(self, value: object, key: ListKey) -> tuple[Raw, str]:
        # One walk is kept for the next call; a second thread, or a call inside this one, finds none and makes its own.
        walk, self._idle = self._idle, None
        if walk is None:
            walk = _Walk(self)
        walk.key = key
        walk.room = _ROOM
        careful: _Walk | None = None
        try:
            data = _encode(walk.tree(value, 0))
        except _DIFFICULT as error:
            careful = walk = _CarefulWalk(self)
            data = careful.encoded(value, error)
        if len(data) > INLINE_VALUE:
            data = _encode(self._store(data, "value"))
        fidelity = walk.fidelity
        if fidelity is tags.EXACT and careful is None and not walk.unfolding:
            self._idle = walk
        return Raw(data), fidelity

    def _store(self, data: bytes, kind: str) -> Ext:
        digest = blake3(data).digest()
        self._sink.payload(digest, data)
        return Ext(tags.PAYLOAD, _encode((digest, kind, len(data))))

    def _text(self, text: str) -> Any:
        if len(text) < INLINE_LEAF:
            if text in self._clean:
                return text
            if not text.isascii():
                text.encode()  # what UTF-8 cannot say is told by the careful walk, and never remembered as clean
            found = self._redaction.text(text)
            if found is not None:
                return Ext(tags.REDACTED, _encode(found.text))
            if len(self._clean) >= _REMEMBERED_TEXTS:
                self._clean.clear()
            self._clean.add(text)
            return text
        known = self._leaves.get(text)
        if known is not None:
            return known
        forgotten = self._forgotten
        found = self._redaction.text(text)
        if found is not None:
            stored = self._store(_encode(Ext(tags.REDACTED, _encode(found.text))), "value")
        else:
            stored = self._store(text.encode(), "str")
        return self._remember(text, stored, len(text), forgotten)

    def _bytes(self, data: bytes) -> Any:
        known = self._leaves.get(data)
        if known is not None:
            return known
        forgotten = self._forgotten
        found = self._redaction.data(data)
        small = len(data) < INLINE_LEAF
        if found is not None:
            kept = Ext(tags.REDACTED_BYTES, _encode(found.data))
            return kept if small else self._remember(data, self._store(_encode(kept), "value"), len(data), forgotten)
        return data if small else self._remember(data, self._store(data, "bytes"), len(data), forgotten)

    def _remember(self, leaf: str | bytes, stored: Ext, size: int, forgotten: int) -> Ext:
        """Keep a leaf in mind, unless it is too large for that or was lost on its way to the sink."""
        if size > _REMEMBERED_BYTES or forgotten != self._forgotten:
            return stored
        if self._leaf_bytes + size > _REMEMBERED_BYTES:
            self._leaves = {}
            self._leaf_bytes = 0
        self._leaves[leaf] = stored
        self._leaf_bytes += size
        return stored

    def _shape(self, cls: type) -> Shape | Row | None:
        try:
            return self._shapes[cls]
        except KeyError:
            return self._shapes.setdefault(cls, shape_of(cls) or row_of(cls))

    def _key(self, key: str) -> str | bool | None:
        """``False``: a harmless key; text: what stands for its value; ``True``: a key whose value may be a secret;
        ``None``: a key that must be told otherwise."""
        secret = self._redaction.field(key) or self._redaction.perhaps(key)
        plain = len(key) < INLINE_LEAF and is_text(key) and self._redaction.text(key) is None
        if len(self._keys) >= _REMEMBERED_TEXTS:
            self._keys.clear()
        return self._keys.setdefault(key, secret if plain else None)

    def _hidden(self, key: str, item: str | bytes | bytearray) -> Ext | None:
        """What stands for the text of a field of this name; ``None`` if the name makes no difference."""
        secret = self._redaction.field(key)
        if secret is None and isinstance(item, str) and self._redaction.perhaps(key):
            found = self._redaction.member(key, str.__str__(item))
            secret = None if found is None else found.text
        return None if secret is None else Ext(tags.REDACTED, _encode(secret))


class _Walk:
    """One encoding of one value: its fidelity so far and the containers it is inside of."""

    fidelity: str = tags.EXACT
    key: ListKey = staticmethod(python_key)
    careful = False
    room = _ROOM
    unfolding = False
    """Whether a list in the value was found to be a graph: then no other is looked at for that."""
    _repeated = 0
    _distinct: set[int] | None = None

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._text: Callable[[str], Any] = encoder._text
        self._active: set[int] = set()

    def tree(self, value: Any, depth: int) -> Any:
        """``value`` as msgspec can encode it."""
        cls = type(value)
        if cls is str:
            return self._text(value)
        if cls is dict:
            self.room -= 1
            if depth < _CYCLE_WATCH and self.room > 0:
                return self._dict(value, depth + 1)
            return self._inside(value, depth, self._dict)
        if cls is int:
            return whole_number(value)
        if value is None or cls is bool or cls is float:
            return value
        if cls is list:
            return self._inside(value, depth, self._list)
        if cls is bytes:
            return self._encoder._bytes(value)
        simple = SCALARS.get(cls)
        if simple is not None:
            return self._scalar(simple, value)
        container = _CONTAINERS.get(cls)
        if container is not None:
            return self._inside(value, depth, lambda v, d: self._items(container, v, d))
        return self._other(cls, value, depth)

    def opaque(self, value: object, reason: str) -> Ext:
        """What stands for a value that cannot be encoded."""
        self.fidelity = tags.OPAQUE_FIDELITY
        return Ext(tags.OPAQUE, _encode((type_name(type(value)), described(value), reason)))

    def structural(self) -> None:
        """Say that something was kept in content but not in type."""
        if self.fidelity == tags.EXACT:
            self.fidelity = tags.STRUCTURAL

    def _inside(self, value: Any, depth: int, walk: Callable[[Any, int], Any]) -> Any:
        active, identity = self._active, id(value)
        if identity in active:
            return self.opaque(value, "contains itself")
        if depth > MAX_DEPTH:
            return self.opaque(value, f"nested deeper than {MAX_DEPTH}")
        self.room -= 1
        if self.room < 0 and self._unfolds(identity):
            return self.opaque(value, "part of a graph that has no end when it is told as a tree")
        active.add(identity)
        try:
            return walk(value, depth + 1)
        finally:
            active.discard(identity)

    def _unfolds(self, identity: int) -> bool:
        """Whether the same few containers keep coming: a graph whose tree would take for ever to tell."""
        distinct = self._distinct = set() if self._distinct is None else self._distinct
        distinct.add(identity)
        self._repeated += 1
        return self._repeated > _FEW + _UNFOLDING * len(distinct)

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        # The innermost loop of the whole product: lookups are local, small clean leaves are settled here.
        encoder = self._encoder
        keys, clean, text = encoder._keys, encoder._clean, self._text
        content: dict[Any, Any] = {}
        for key, item in value.items():
            cls = type(item)
            if type(key) is str:
                known = keys.get(key, ...)
                if known is ...:
                    known = encoder._key(key)
                if known is None:
                    return self._pairs(value, depth)
                if known and issubclass(cls, _TEXTS) and item:
                    hidden = encoder._hidden(key, item)
                    content[key] = self.tree(item, depth) if hidden is None else hidden
                    continue
            elif not (type(key) is int and -(2**63) <= key < 2**64):
                return self._pairs(value, depth)
            if cls is str:
                content[key] = item if item in clean else text(item)
            elif item is None or cls is bool or cls is float or (cls is int and -(2**63) <= item < 2**64):
                content[key] = item
            else:
                content[key] = self.tree(item, depth)
        return content

    def _pairs(self, value: dict[Any, Any], depth: int) -> Ext:
        encoder = self._encoder
        pairs: list[Any] = []
        for key, item in value.items():
            named = type(key) is str and issubclass(type(item), _TEXTS) and item
            hidden = encoder._hidden(key, item) if named else None
            pairs.append((self.tree(key, depth), self.tree(item, depth) if hidden is None else hidden))
        return Ext(tags.PAIRS, _encode(pairs))

    def _list(self, value: list[Any], depth: int) -> Any:
        if len(value) >= History.SHORTEST:
            if set(map(type, value)) <= _PLAIN_NUMBERS:
                return value.copy()
            stored = None if self.unfolding else self._grown(value, depth)
            if stored is not None:
                return stored
        return [self.tree(item, depth) for item in value]

    def _grown(self, value: list[Any], depth: int) -> Ext | None:
        """The list told by an earlier one that it grew from, if there is one."""
        try:
            return self._encoder._history.reference(value, self.key, lambda items: self._exactly(items, depth))
        except Unfolding:
            self.unfolding = True
            return None

    def _exactly(self, items: list[Any], depth: int) -> list[Any] | None:
        """The items as msgspec can encode them; ``None`` if one of them is not told exactly."""
        before, self.fidelity = self.fidelity, tags.EXACT
        found = [self.tree(item, depth) for item in items]
        exact, self.fidelity = self.fidelity is tags.EXACT, before
        return found if exact else None

    def _items(self, code: int, value: Any, depth: int) -> Ext:
        return Ext(code, _encode([self.tree(item, depth) for item in value]))

    def _scalar(self, simple: Callable[[_Walk, Any], Any], value: Any) -> Any:
        try:
            return simple(self, value)
        except _DIFFICULT:
            raise
        except Exception as error:  # a time zone's own code failed
            return self.opaque(value, f"taking it apart failed with {type(error).__name__}")

    def _other(self, cls: type, value: Any, depth: int) -> Any:
        if issubclass(cls, enum.Enum):
            name, member = value._name_, self.tree(value._value_, depth + 1)
            return Ext(tags.ENUM, _encode((type_name(cls), name or "", member)))
        shape = self._encoder._shape(cls)
        if shape is not None:
            return self._inside(value, depth, lambda v, d: self._object(shape, v, d))
        plain = next((plain for base, plain in SUBCLASSES if issubclass(cls, base)), None)
        if plain is None:
            return self.opaque(value, why_opaque(cls))
        if cls not in REBUILT or getattr(value, "__dict__", None):
            self.structural()
        return self._inside(value, depth, lambda v, d: self._subclass(v, plain, d))

    def _subclass(self, value: Any, plain: Callable[[Any], Any], depth: int) -> Ext:
        return Ext(tags.SUBCLASS, _encode((type_name(type(value)), self.tree(plain(value), depth))))

    def _object(self, shape: Shape | Row, value: Any, depth: int) -> Ext:
        if isinstance(shape, Row):
            return told(self, shape, value, depth)
        try:
            content, extra = shape.fields(value), shape.extra(value)
        except Exception as error:  # code of the class ran, and failed
            return self.opaque(value, f"taking it apart failed with {type(error).__name__}")
        fields = self._dict(content, depth)
        return Ext(tags.OBJECT, _encode((shape.kind, type_name(type(value)), fields, self.tree(extra, depth))))


class _CarefulWalk(_Walk):
    """The walk of a value that the quick one could not finish: text that UTF-8 cannot say, ints in a list of numbers
    that msgpack cannot, a container that another thread changed meanwhile, too little stack left."""

    careful = True

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self._text = self._any_text

    def encoded(self, value: object, error: Exception) -> bytes:
        """``value`` in its encoding, after the quick walk failed with ``error``."""
        if isinstance(error, RecursionError):
            return _encode(self.opaque(value, "nested deeper than the interpreter's recursion limit"))
        try:
            return _encode(self.tree(value, 0))
        except RuntimeError:
            return _encode(self.opaque(value, "changed while it was read"))

    def _any_text(self, value: str) -> Any:
        if is_text(value):
            return self._encoder._text(value)
        found = self._encoder._redaction.text(value)
        text = value if found is None else found.text
        return Ext(tags.SURROGATES, text.encode("utf-8", "surrogatepass"))

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        return super()._dict(value.copy(), depth)

    def _list(self, value: list[Any], depth: int) -> Any:
        return [self.tree(item, depth) for item in value]

    def _items(self, code: int, value: Any, depth: int) -> Ext:
        return super()._items(code, list(value), depth)


_DIFFICULT: Final = (UnicodeEncodeError, OverflowError, RuntimeError)
_CONTAINERS: Final[dict[type, int]] = {tuple: tags.TUPLE, set: tags.SET, frozenset: tags.FROZENSET}
_TEXTS: Final = (str, bytes, bytearray)
