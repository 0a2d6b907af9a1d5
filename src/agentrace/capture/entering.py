"""A block that is entered by ``with`` is entered by ``async with`` as well, and does the same."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, TypeVar

T = TypeVar("T")


class AlsoAsync:
    """The base of a context manager that waits for nothing."""

    async def __aenter__(self: AbstractContextManager[T, None]) -> T:
        return self.__enter__()

    async def __aexit__(
        self: AbstractContextManager[Any, None],
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, trace)
