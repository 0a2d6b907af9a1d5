"""Export: runs in forms that other programs show: a page for any browser, and a time line for Perfetto."""

from __future__ import annotations

from agentrace.export.blocks import Blocks
from agentrace.export.html import Contents, page
from agentrace.export.placing import place, refuse_existing

__all__ = ["Blocks", "Contents", "page", "place", "refuse_existing"]
