"""Whatever a client hands over, as plain data that is equal only if the program could not tell the difference."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import aiohttp
import anthropic
import anthropic._base_client
import anthropic._response
import httpx
import httpx2
import multidict
import openai
import openai._base_client
import openai._legacy_response
import openai._response
import requests
import urllib3
import yarl
from openai._legacy_response import HttpxBinaryResponseContent
from pydantic import BaseModel

PLAIN = (type(None), bool, int, str, bytes)


def observed(value: Any) -> Any:
    """``value`` with the classes, fields and private marks that a program can see."""
    if type(value) in PLAIN:
        return value
    if isinstance(value, float):
        return ("float", repr(value))
    if isinstance(value, BaseException):
        return exception(value)
    if isinstance(value, (list, tuple)):
        return (_class(value), [observed(item) for item in value])
    if isinstance(value, dict):
        return (_class(value), [(observed(key), observed(item)) for key, item in value.items()])
    if isinstance(value, set):
        return (_class(value), sorted(map(repr, value)))
    for kind, fields in _SEEN:
        if isinstance(value, kind):
            return (_class(value), {name: observed(item) for name, item in fields(value).items()})
    raise AssertionError(f"nobody has said what of a {_class(value)} can be seen")


def exception(error: BaseException) -> Any:
    """An exception with its public fields and its chain of causes."""
    fields = {name: item for name, item in vars(error).items() if name not in _HIDDEN}
    return (
        _class(error),
        {
            "str": _ADDRESS.sub("0x", str(error)),
            "fields": observed(fields),
            "suppresses": error.__suppress_context__,
            "causes": causes(error),
        },
    )


def causes(error: BaseException) -> list[tuple[str, str]]:
    """Class and text of each explicit cause, nearest first."""
    found: list[tuple[str, str]] = []
    cause = error.__cause__
    while cause is not None:
        found.append((_class(cause), str(cause)))
        cause = cause.__cause__
    return found


_ADDRESS = re.compile("0x[0-9a-f]+")
_HIDDEN = {"__notes__", "_request"}
"""The request of a transport's error is looked at where the client's error shows it."""


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, yarl.URL) else [(str(name), item) for name, item in value.items()]


def _class(value: object) -> str:
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _model(value: BaseModel) -> dict[str, Any]:
    return {
        "fields": dict(value.__dict__),
        "set": set(value.model_fields_set),
        "extra": value.model_extra,
        "request_id": getattr(value, "_request_id", None),
    }


def _page(value: Any) -> dict[str, Any]:
    return {**_model(value), "next": value.has_next_page()}


def _response(value: Any) -> dict[str, Any]:
    read = hasattr(value, "_content")
    return {
        "status": value.status_code,
        "reason": value.reason_phrase,
        "version": value.http_version,
        "headers": value.headers.raw,
        "request": value.request,
        "extensions": {name for name in value.extensions if name != "network_stream"},
        "live": "network_stream" in value.extensions,
        "history": value.history,
        "next": value.next_request,
        "encoding": value.encoding if read else None,
        "content": value.content if read else None,
        "text": value.text if read else None,
        "closed": value.is_closed,
        "consumed": value.is_stream_consumed,
        "downloaded": value.num_bytes_downloaded,
        "stream": type(value.stream).__name__,
        "timed": _timed(value),
        "cookies": sorted(value.cookies.items()),
    }


def _timed(response: Any) -> bool:
    try:
        return bool(response.elapsed.total_seconds() >= 0)
    except RuntimeError:
        return False


def without_boundary(data: bytes) -> bytes:
    """``data`` with one fixed boundary instead of the random one of a multipart body."""
    return _BOUNDARY.sub(b"boundary", data)


_BOUNDARY = re.compile(rb"(?<=boundary=)[0-9a-f]{32}|(?<=--)[0-9a-f]{32}")


def _request(value: Any) -> dict[str, Any]:
    return {
        "method": value.method,
        "url": str(value.url),
        "headers": [(name, without_boundary(item)) for name, item in value.headers.raw],
        "content": without_boundary(getattr(value, "_content", b"")),
        "stream": type(value.stream).__name__,
        "extensions": sorted(value.extensions),
    }


def _wrapped(value: Any) -> dict[str, Any]:
    told = {name: getattr(value, name, None) for name in ("retries_taken", "request_id")}
    return {"http": value.http_response, **told}


def _urllib3_response(value: Any) -> dict[str, Any]:
    return {
        "status": value.status,
        "reason": value.reason,
        "version": value.version,
        "headers": list(value.headers.items()),
        "content": value._body,
        "closed": value.closed,
        "length": value.length_remaining,
        "url": value.geturl(),
        "downloaded": value.tell(),
        "history": [tuple(map(repr, request)) for request in value.retries.history] if value.retries else None,
        "connected": value.connection is None,
    }


def _requests_response(value: Any) -> dict[str, Any]:
    names = ("status_code", "reason", "url", "history", "encoding", "is_redirect", "request", "_content", "_next")
    return {
        **{name: getattr(value, name) for name in names},
        "headers": list(value.headers.items()),
        "cookies": sorted(value.cookies.items()),
        "raw": value.raw,
    }


def _prepared_request(value: Any) -> dict[str, Any]:
    body = value.body
    told = without_boundary(body.encode() if isinstance(body, str) else body or b"")
    headers = [(name, without_boundary(item.encode("latin-1"))) for name, item in value.headers.items()]
    return {"method": value.method, "url": value.url, "headers": headers, "body": told}


def _aiohttp_response(value: Any) -> dict[str, Any]:
    names = ("status", "reason", "method", "content_type", "charset", "_body", "closed", "history", "request_info")
    version = value.version
    return {
        **{name: getattr(value, name) for name in names},
        "version": None if version is None else tuple(version),
        "headers": value.headers,
        "raw": value.raw_headers,
        "urls": [str(value.url), str(value.real_url), value.host],
        "cookies": sorted(morsel.OutputString() for morsel in value.cookies.values()),
        "content": type(value.content).__name__,
        "connected": value.connection is None,
    }


_LIBRARIES = (openai, anthropic)
_PAGES = tuple(library._base_client.BasePage for library in _LIBRARIES)
_STREAMS = tuple(kind for library in _LIBRARIES for kind in (library.Stream, library.AsyncStream))
_WRAPPERS = (
    openai._legacy_response.LegacyAPIResponse,
    *(library._response.BaseAPIResponse for library in _LIBRARIES),
    *(
        [anthropic._legacy_response.LegacyAPIResponse]  # of versions before 1
        if hasattr(anthropic, "_legacy_response")
        else []
    ),
)

_SEEN: tuple[tuple[type | tuple[type, ...], Callable[[Any], dict[str, Any]]], ...] = (
    (datetime, lambda value: {"told": value.isoformat()}),
    (type, lambda value: {"name": value.__qualname__}),
    (urllib3.response.HTTPResponse, _urllib3_response),
    (requests.Response, _requests_response),
    (requests.PreparedRequest, _prepared_request),
    ((urllib3.connectionpool.ConnectionPool, urllib3.connection.HTTPConnection), lambda value: {"host": value.host}),
    (aiohttp.ClientResponse, _aiohttp_response),
    ((multidict.MultiMapping, yarl.URL), lambda value: {"told": _plain(value)}),
    (_PAGES, _page),
    (BaseModel, _model),
    ((httpx.Response, httpx2.Response), _response),
    ((httpx.Request, httpx2.Request), _request),
    ((httpx.Headers, httpx2.Headers), lambda value: {"raw": value.raw}),
    (_WRAPPERS, _wrapped),
    (HttpxBinaryResponseContent, lambda value: {"content": value.content, "http": value.response}),
    (_STREAMS, lambda value: {"http": value.response}),
)
"""What is looked at, by class; the first that fits."""
