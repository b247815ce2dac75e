"""A file's content type by the end of its name: the same on every machine, so without the system's own table."""

from __future__ import annotations

from functools import cache
from mimetypes import MimeTypes
from pathlib import PurePosixPath

OCTETS = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument"
_MORE = {
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".gz": "application/gzip",
    ".ipynb": "application/x-ipynb+json",
    ".log": "text/plain",
    ".md": "text/markdown",
    ".parquet": "application/vnd.apache.parquet",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}
"""What programs leave and some version of Python has no type for."""


@cache
def _types() -> dict[str, str]:
    return MimeTypes().types_map[True] | _MORE


def content_type(path: str) -> str:
    """The type as the connector reports it; bytes without a known name are octets."""
    return _types().get(PurePosixPath(path).suffix.lower(), OCTETS)
