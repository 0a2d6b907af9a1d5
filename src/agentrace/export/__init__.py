"""Export: runs in forms that other programs show: a page for any browser, and a time line for Perfetto.

Names are loaded when first used: whoever shows a run in the terminal makes neither.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from agentrace.export.blocks import Blocks
    from agentrace.export.html import Contents, page
    from agentrace.export.perfetto import Payloads, Pictured, picture
    from agentrace.export.placing import place, refuse_existing

__all__ = ["Blocks", "Contents", "Payloads", "Pictured", "page", "picture", "place", "refuse_existing"]

_HOME_OF: Final = {
    "Blocks": "blocks",
    "Contents": "html",
    "Payloads": "perfetto",
    "Pictured": "perfetto",
    "page": "html",
    "picture": "perfetto",
    "place": "placing",
    "refuse_existing": "placing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
