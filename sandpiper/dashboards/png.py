"""Compresses PNG files. vl-convert compresses quickly instead, to files of three times the size.

https://www.w3.org/TR/png/
"""

from __future__ import annotations

import struct
import zlib

SIGNATURE_BYTES = 8
LEVEL = 6
"""Level 9 takes seven times as long for 1 % less."""


def compressed(png: bytes) -> bytes:
    """Returns the same picture in fewer bytes."""
    chunks: list[tuple[bytes, bytes]] = []
    position = SIGNATURE_BYTES
    while position < len(png):
        (length,) = struct.unpack_from(">I", png, position)
        chunks.append((png[position + 4 : position + 8], png[position + 8 : position + 8 + length]))
        position += length + 12
    data = zlib.compress(zlib.decompress(b"".join(content for kind, content in chunks if kind == b"IDAT")), LEVEL)
    header, *others = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
    return png[:SIGNATURE_BYTES] + b"".join(_chunk(*one) for one in (header, *others[:-1], (b"IDAT", data), others[-1]))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
