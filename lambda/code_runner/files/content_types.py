"""Content types by file name, independent of the system's own table."""

from __future__ import annotations

from functools import cache
from mimetypes import MimeTypes
from pathlib import PurePosixPath

DEFAULT_TYPE = "application/octet-stream"
_OFFICE = "application/vnd.openxmlformats-officedocument"
_ADDITIONAL_TYPES = {
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
"""Types of files that programs often create and that are missing from the table of some Python versions."""


@cache
def _types() -> dict[str, str]:
    return MimeTypes().types_map[True] | _ADDITIONAL_TYPES


def content_type(path: str) -> str:
    """Returns the content type for the suffix of a path, or `application/octet-stream` for an unknown one."""
    return _types().get(PurePosixPath(path).suffix.lower(), DEFAULT_TYPE)
