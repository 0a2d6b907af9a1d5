"""A recorded response of aiohttp, made by aiohttp itself on a connection over which nothing goes."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from agentrace.canonical import loaded_types
from agentrace.capture.exchange import Exchange
from agentrace.capture.recorded import BodyInTurn, arrived_in_turn
from agentrace.capture.step import Step
from agentrace.events import Failure
from agentrace.exchanges import Recorded
from agentrace.integrations.aiohttp_streams import Readers, Timed

_EMPTY: Final = frozenset({*range(100, 200), 204, 304})
"""What has no body."""
_LIMIT: Final = 2**16
"""Bytes of a body after which no more is asked for; here nothing is asked for."""


class Nowhere:
    """A transport, and the connector that it is given back to."""

    def __init__(self, force_close: bool) -> None:
        self.force_close = force_close

    def is_closing(self) -> bool:
        """It is not."""
        return False

    def get_extra_info(self, _: str, default: Any = None) -> Any:
        """Nothing."""
        return default

    def get_write_buffer_size(self) -> int:
        """Nothing waits to be sent."""
        return 0

    def _do_nothing(self, *_: Any, **__: Any) -> None: ...

    write = writelines = close = abort = pause_reading = resume_reading = _release = _do_nothing


def protocols(module: Any) -> type:
    """The protocol of such a connection, for ``module``, which is ``aiohttp``."""

    async def read(self: Any) -> Any:
        return self.agentrace_answer

    def _do_nothing(self: Any, *_: Any, **__: Any) -> None: ...

    idle = dict.fromkeys(("pause_reading", "resume_reading", "start_timeout"), _do_nothing)
    return type("ResponseHandler", (module.client_proto.ResponseHandler,), {"read": read, **idle})


class Playing(Struct, frozen=True):
    """How recorded responses are played back."""

    module: Any
    """``aiohttp``."""
    readers: Readers
    protocol: type


async def played(how: Playing, request: Any, step: Step, recorded: Recorded, exchange: Exchange) -> Any:
    """The response to ``request``, whose body comes as it is read; raises what was raised instead of it."""
    if recorded.error is not None:
        with request._timer:  # it runs on a replay too, and tells a time-out from other cancellations
            await arrived_in_turn(step, recorded)
        raise _error(how.module, request, step, recorded.error)
    nowhere = Nowhere(request.session.connector.force_close)
    protocol: Any = how.protocol(request.loop)
    protocol.transport = nowhere
    connection = how.module.connector.Connection(nowhere, request.connection_key, protocol, request.loop)
    try:
        response = await request.send(connection)
        if response._writer is not None:  # what makes a body piece by piece is the program's, so it runs again
            await response._writer
        with request._timer:
            await arrived_in_turn(step, recorded)
        protocol.agentrace_answer = _answer(how, protocol, request, step, recorded, exchange)
        return await response.start(connection)
    except BaseException:
        connection.close()
        raise


def _answer(how: Playing, protocol: Any, request: Any, step: Step, recorded: Recorded, exchange: Exchange) -> Any:
    """Head and body as the parser would hand them over."""
    message = _head(how.module, protocol, recorded)
    if request.method == "HEAD" or recorded.status in _EMPTY or message.headers.get("Content-Length") == "0":
        return message, how.module.streams.EMPTY_PAYLOAD
    content: Any = how.readers.played(protocol, _LIMIT, timer=Timed(request._timer, exchange), loop=request.loop)
    content.agentrace_pieces = BodyInTurn(step, recorded)
    if message.chunked:
        content.begin_http_chunk_receiving()
    return message, content


def _head(module: Any, protocol: Any, recorded: Recorded) -> Any:
    """The head of the response as the parser reads it, which knows how the names of headers are spelled."""
    line = f"{recorded.http_version or 'HTTP/1.1'} {recorded.status} {recorded.reason}".encode(
        "utf-8", "surrogateescape"
    )
    headers = [name + b": " + value for name, value in recorded.raw_headers()]
    parser = module.http.HttpResponseParser(
        protocol, protocol._loop, _LIMIT, response_with_body=False, read_until_eof=True, auto_decompress=False
    )
    messages, _, _ = parser.feed_data(b"\r\n".join([line, *headers, b"", b""]))
    return messages[0][0]


def _error(module: Any, request: Any, step: Step, failure: Failure) -> BaseException:
    """What was raised. Exceptions that hold a connection's or a request's own objects are made of those of this one."""
    cls: Any = loaded_types(failure.type)
    cause: BaseException | None = step.answer.rebuild(failure.causes[0]) if failure.causes else None
    keyed = (module.ClientConnectorError, module.ClientConnectorCertificateError)
    error: BaseException
    if cause is not None and isinstance(cls, type) and issubclass(cls, keyed):
        error = cls(request.connection_key, cause)
        error.__cause__ = cause
    elif cause is not None and cls is module.ClientResponseError:
        told = {name: getattr(cause, name, None) for name in ("message", "headers")}
        error = cls(request.request_info, (), status=getattr(cause, "code", 0), **told)
        error.__cause__ = cause
    else:
        error = step.answer.rebuild(failure)
    return error
