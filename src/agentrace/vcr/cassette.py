"""A cassette as what passed over the wire: requests and their answers, in the spellings that vcrpy has used.

Version 1 is what vcrpy writes since 1.0. Within it: bodies as text, as bytes, below ``string`` or ``base64_string``,
as JSON data below ``parsed_body``; answers with ``status`` or, by the httpx of vcrpy 4, with ``status_code`` and
``content``; headers as one value or a list of them.
"""

from __future__ import annotations

import binascii
import datetime
import json
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec import Struct

from agentrace.errors import CassetteError
from agentrace.vcr.loading import loaded, too_large

VERSION: Final = 1
SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})

Headers = Sequence[tuple[bytes, bytes]]

_ROOM: Final = 4 << 20
_ROOM_PER_BYTE: Final = 16
"""Bytes that a cassette may mean: 4 MiB, and 16 for each of its own. YAML can repeat what it says once."""
_VERSION: Final = re.compile(r"HTTP/\d(\.\d)?")
_STATUS: Final = re.compile(r"[1-9][0-9]{2}")
_LINES: Final = re.compile(rb"[\r\n]+[ \t]*")


class Interaction(Struct, frozen=True):
    """One request and its answer."""

    number: int
    """From 1, as in the file."""
    method: str
    url: str
    headers: Headers
    body: bytes
    status: int
    reason: str
    http_version: str
    """Empty where the cassette does not tell."""
    answer_headers: Headers
    answer: bytes
    at_ns: int
    """When it was recorded, or its answer's ``Date``: Unix nanoseconds; 0 where neither is told."""


class Cassette(Struct, frozen=True):
    """What one file holds."""

    path: Path
    name: str
    """The file's name as it was given, without its suffix."""
    interactions: Sequence[Interaction]
    modified_ns: int
    """When the file was changed last."""


def read_cassette(path: Path, name: str = "") -> Cassette:
    """The cassette in a file.

    Raises ``CassetteError``: ``cassette`` for a file that is none, ``cassette-version`` for one of another version,
    ``cassette-damaged`` and ``cassette-too-large`` with what is wrong, and the number of the interaction.
    """
    data = loaded(path)
    told = data.get("interactions") if isinstance(data, Mapping) else None
    if not isinstance(told, list):
        raise CassetteError(f"{path} is no cassette: {_instead(data)}", do=_remedy(data))
    version = data.get("version", VERSION)
    if version != VERSION:
        raise CassetteError(
            f"{path} is a cassette of version {version!r}, and this agentrace reads version {VERSION}",
            do="update agentrace, or record the cassette with a vcrpy that writes that version",
            slug="cassette-version",
        )
    stat = path.stat()
    reading = _Reading(path, _ROOM + _ROOM_PER_BYTE * stat.st_size)
    try:
        found = [reading.interaction(number, one) for number, one in enumerate(told, 1)]
    except RecursionError as failure:
        raise too_large(path, "something in it holds itself") from failure
    return Cassette(path, name or path.stem, found, stat.st_mtime_ns)


def _instead(data: Any) -> str:
    if isinstance(data, Mapping) and "http_interactions" in data:
        return f"it was written by {data.get('recorded_with', 'another recorder')!s:.40}, not by vcrpy"
    if isinstance(data, list) and data and isinstance(data[0], Mapping) and "request" in data[0]:
        return "it was written by a vcrpy before 1.0"
    return "it holds no list of `interactions`"


def _remedy(data: Any) -> str:
    if isinstance(data, list):
        return "migrate it with `python -m vcr.migration FILE`, or record it again"
    return "name a file that vcrpy recorded, or a directory that holds such files"


class _Reading:
    """One file on its way: where it is, for errors, and what it may still mean."""

    def __init__(self, path: Path, room: int) -> None:
        self._path = path
        self._room = room
        self._number = 0

    def interaction(self, number: int, data: Any) -> Interaction:
        self._number = number
        one = self._mapping(data, "it")
        request, response = self._mapping(one.get("request"), "request"), self._mapping(one.get("response"), "response")
        answer_headers = self._headers(response.get("headers"), "response.headers")
        status, reason = self._status(response)
        return Interaction(
            number,
            self._text(request.get("method"), "request.method").upper(),
            self._url(request.get("uri", request.get("url"))),
            self._headers(request.get("headers"), "request.headers"),
            self._body(request, "request"),
            status,
            reason,
            told if _VERSION.fullmatch(told := str(response.get("http_version"))) else "",
            answer_headers,
            self._body(response, "response"),
            _ns(one.get("recorded_at")) or _ns(_date(answer_headers)),
        )

    def _url(self, told: Any) -> str:
        url = self._text(told, "request.uri")
        try:
            known = bool(urlsplit(url).hostname) and url.isprintable()
        except ValueError:
            known = False
        if not known:
            raise self._wrong(f"request.uri is {url[:200]!r}, and no URL with a host")
        return url

    def _status(self, response: Mapping[str, Any]) -> tuple[int, str]:
        told = response.get("status", response.get("status_code"))
        code, reason = (told.get("code"), told.get("message")) if isinstance(told, Mapping) else (told, None)
        if not _STATUS.fullmatch(str(code)):
            raise self._wrong(f"response.status is {code!r}, and no status of HTTP")
        text = "" if reason is None else self._bytes(reason, "response.status").decode("utf-8", "replace")
        return int(str(code)), " ".join(text.encode("latin-1", "replace").decode("latin-1").split())

    def _headers(self, told: Any, where: str) -> Headers:
        found: list[tuple[bytes, bytes]] = []
        for name, values in self._mapping({} if told is None else told, where).items():
            for value in values if isinstance(values, (list, tuple)) else [values]:
                if value is not None:
                    pair = self._bytes(name, where), self._bytes(value, f"{where}.{name}")
                    found.append((_on_a_line(pair[0]), _on_a_line(pair[1])))
        return found

    def _body(self, part: Mapping[str, Any], where: str) -> bytes:
        told = part.get("body", part.get("content"))
        if isinstance(told, Mapping):
            coded = told.get("base64_string")
            told = told.get("string")
            if told is None and coded is not None:
                try:
                    return binascii.a2b_base64(self._bytes(coded, f"{where}.body"))
                except binascii.Error as failure:
                    raise self._wrong(f"{where}.body.base64_string is no base64: {failure}") from failure
        if told is None and part.get("parsed_body") is not None:
            return self._dumped(part["parsed_body"], f"{where}.parsed_body")
        pieces = told if isinstance(told, (list, tuple)) else [] if told is None else [told]
        return b"".join(self._bytes(piece, f"{where}.body") for piece in pieces)

    def _dumped(self, value: Any, where: str) -> bytes:
        return self._bytes(json.dumps(self._counted(value, where), ensure_ascii=False, separators=(",", ":")), where)

    def _counted(self, value: Any, where: str) -> Any:
        """JSON data, of which aliases are followed no further than there is room."""
        self._spend(8)
        if isinstance(value, Mapping):
            return {str(name): self._counted(item, where) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._counted(item, where) for item in value]
        if value is None or isinstance(value, (str, bool, int, float)):
            return value
        raise self._wrong(f"{where} holds a {type(value).__name__}, which JSON does not have")

    def _mapping(self, told: Any, where: str) -> Mapping[str, Any]:
        if isinstance(told, Mapping):
            return told
        raise self._wrong(f"{where} is {_kind(told)}, and no mapping")

    def _text(self, told: Any, where: str) -> str:
        if told is None or not (data := self._bytes(told, where)):
            raise self._wrong(f"{where} is missing")
        return data.decode("utf-8", "replace")

    def _bytes(self, told: Any, where: str) -> bytes:
        if isinstance(told, str):
            data = told.encode("utf-8", "surrogatepass")
        elif isinstance(told, bytes):
            data = told
        elif isinstance(told, (int, float)):
            data = str(told).encode()
        else:
            raise self._wrong(f"{where} is {_kind(told)}, and no text")
        self._spend(len(data))
        return data

    def _spend(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise too_large(self._path, f"up to interaction {self._number} it means many times what it says")

    def _wrong(self, what: str) -> CassetteError:
        return CassetteError(
            f"{self._path}, interaction {self._number}: {what}",
            do="correct the interaction or take it out, or record the cassette again",
            slug="cassette-damaged",
        )


def _kind(told: Any) -> str:
    return "missing" if told is None else f"a {type(told).__name__}"


def _on_a_line(data: bytes) -> bytes:
    return _LINES.sub(b" ", data).strip()


def _date(headers: Headers) -> datetime.datetime | None:
    for name, value in headers:
        if name.lower() == b"date":
            try:
                return parsedate_to_datetime(value.decode("latin-1"))
            except (ValueError, IndexError):
                return None
    return None


def _ns(told: Any) -> int:
    """Unix nanoseconds of a time, or of the ISO 8601 text of one; 0 for anything else. Without a zone it is UTC."""
    try:
        moment = datetime.datetime.fromisoformat(told) if isinstance(told, str) else told
        if not isinstance(moment, datetime.datetime):
            return 0
        aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
        return max(0, int(aware.timestamp() * 1_000_000) * 1000)
    except (ValueError, OverflowError):
        return 0
