"""The version of the package, as its metadata says too."""

from __future__ import annotations

VERSION = "0.1.0"
