"""Times and their zones: made of what a record holds, or told as their own clock showed them."""

from __future__ import annotations

import datetime
from typing import Any

from agentrace.canonical.loading import load
from agentrace.errors import ValueUndecodable


def datetime_of(data: bytes) -> datetime.datetime:
    """A recorded date and time."""
    text, fold, zone = load(data)
    return datetime.datetime.fromisoformat(text).replace(fold=fold, tzinfo=_zone(zone))


def time_of(data: bytes) -> datetime.time:
    """A recorded time of day."""
    text, fold, zone = load(data)
    return datetime.time.fromisoformat(text).replace(fold=fold, tzinfo=_zone(zone))


def clock_text(data: bytes) -> str:
    """Either as its own clock showed it, with its zone; the machine that reads need not know the zone."""
    text, fold, zone = load(data)
    where = "" if zone is None else f" {zone}" if isinstance(zone, str) else f" {zone[1]}"
    return f"{text}{where}{' (second time)' if fold else ''}"


def _zone(zone: Any) -> datetime.tzinfo | None:
    if zone is None:
        return None
    if isinstance(zone, str):
        import zoneinfo

        try:
            return zoneinfo.ZoneInfo(zone)
        except KeyError as error:
            raise ValueUndecodable(
                f"the record holds a time in {zone}, a time zone that this machine does not know",
                do="install the package tzdata",
            ) from error
    offset = datetime.timedelta(seconds=zone[0])
    plain = datetime.timezone(offset)
    return plain if plain.tzname(None) == zone[1] else datetime.timezone(offset, zone[1])
