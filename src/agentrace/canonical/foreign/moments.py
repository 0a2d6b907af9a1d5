"""Moments and lengths of time of pandas, and what stands there for a missing value."""

from __future__ import annotations

import sys
from typing import Any

from agentrace.canonical.foreign import Part, Untold


def take(_: Part, kind: str, value: Any) -> dict[str, Any]:
    """As a whole number of its unit."""
    pandas: Any = sys.modules["pandas"]
    if kind == "pandas-missing":
        return {"text": "NA" if value is pandas.NA else "NaT"}
    if kind == "pandas-timedelta":
        return {"text": str(value), "value": int(value.asm8.view("i8")), "unit": value.unit}
    zone = None if value.tz is None else str(pandas.DatetimeTZDtype(value.unit, value.tz))
    if zone is not None:
        named = pandas.DatetimeTZDtype.construct_from_string(zone).tz
        if (str(named), type(named).__name__) != (str(value.tz), type(value.tz).__name__):
            raise Untold("its time zone has no name")
    told = {"text": str(value), "value": int(value.asm8.view("i8")), "unit": value.unit, "zone": zone}
    return told | ({"fold": value.fold} if value.fold else {})


def build(kind: str, _: str, fields: dict[str, Any]) -> Any:
    """From the whole number."""
    pandas: Any = sys.modules["pandas"]
    if kind == "pandas-missing":
        return pandas.NA if fields["text"] == "NA" else pandas.NaT
    numpy: Any = sys.modules["numpy"]
    code = "m8" if kind == "pandas-timedelta" else "M8"
    number = numpy.int64(fields["value"]).view(numpy.dtype(f"{code}[{fields['unit']}]"))
    if kind == "pandas-timedelta":
        return pandas.Timedelta(number)
    moment = pandas.Timestamp(number)
    if fields["zone"] is None:
        return moment.replace(fold=fields["fold"]) if "fold" in fields else moment
    return moment.tz_localize("UTC").tz_convert(pandas.DatetimeTZDtype.construct_from_string(fields["zone"]).tz)
