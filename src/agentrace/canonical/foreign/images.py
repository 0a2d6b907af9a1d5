"""Images of PIL: their pixels as they are in memory, lossless in every mode, and what the file said beside them.

No file format is written in the program's call, and none is read on a replay: pixels take their own room and no more.
An image that was opened and not loaded yet is left so; a copy of it is loaded.
"""

from __future__ import annotations

import io
import sys
from typing import Any, Final

from agentrace.canonical.foreign import LARGEST, Part, Untold

_BYTES: Final = {
    **dict.fromkeys(("L", "P"), 1),
    **dict.fromkeys(("LA", "PA", "La", "I;16", "I;16B", "I;16L", "I;16N"), 2),
    **dict.fromkeys(("RGB", "YCbCr", "LAB", "HSV"), 3),
    **dict.fromkeys(("RGBA", "RGBX", "RGBa", "CMYK", "I", "F"), 4),
}
"""Bytes of a pixel by mode; in mode ``1`` eight pixels of a line are one byte."""


def take(part: Part, _: str, value: Any) -> dict[str, Any]:
    """Mode, size, pixels, palette and info."""
    pillow: Any = sys.modules["PIL.Image"]
    copy = None if getattr(value, "fp", None) is None else _copy_of_file(pillow, value)
    image = copy if copy is not None and value.tile else value  # one that is loaded may have been drawn on
    if image.mode != "1" and image.mode not in _BYTES:
        raise Untold(f"nothing is known of the mode {image.mode}")
    if _length(image.mode, image.size) > LARGEST:
        raise Untold("its pixels are more than a record takes in one piece")
    if type(value) is not pillow.Image or len(getattr(value, "_exif", None) or ()):
        part.structural()
    told = {"mode": image.mode, "size": list(image.size), "pixels": part.raw(image.tobytes())}
    if image.palette is not None and image.mode in ("P", "PA"):
        colours = bytes(image.getpalette(image.palette.mode) or ())
        told |= {"palette": part.raw(colours), "palette_mode": image.palette.mode}
    return {**told, "format": image.format, "info": part.tree(dict(image.info))}


def build(_: str, __: str, fields: dict[str, Any]) -> Any:
    """An ``Image`` with the same pixels, palette, info and format."""
    pillow: Any = sys.modules["PIL.Image"]
    mode, (width, height), pixels = fields["mode"], fields["size"], fields["pixels"]
    if min(width, height) < 0 or len(pixels) != _length(mode, (width, height)):
        raise ValueError("its pixels do not fill it")
    image = pillow.frombytes(mode, (width, height), pixels) if pixels else pillow.new(mode, (width, height))
    if "palette" in fields:
        image.putpalette(fields["palette"], fields["palette_mode"])
    image.info = fields["info"]
    image.format = fields["format"]
    return image


def _length(mode: str, size: tuple[int, int]) -> int:
    width, height = size
    return (width + 7) // 8 * height if mode == "1" else width * height * _BYTES[mode]


def _copy_of_file(pillow: Any, image: Any) -> Any:
    """What the image is in the file that it is loaded from, now or later."""
    file = image.fp
    try:
        before = file.tell()
        file.seek(0)
        try:
            data = file.read(LARGEST)
        finally:
            file.seek(before)
    except (OSError, ValueError, AttributeError) as error:
        raise Untold(f"its file cannot be read a second time: {error}") from error
    copy = pillow.open(io.BytesIO(data))
    if (copy.format, copy.mode, copy.size) != (image.format, image.mode, image.size):
        raise Untold("it is not what its file holds any more")
    if getattr(copy, "n_frames", 1) > 1:
        raise Untold(f"it is an animation of {copy.n_frames} frames")
    if image.tile:
        copy.load()
    return copy
