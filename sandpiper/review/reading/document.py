"""A template as plain values, and the line of each value."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from sandpiper.review.reading.errors import TemplateError
from sandpiper.review.reading.json_text import JsonLines, parse_json
from sandpiper.review.reading.limits import MAX_TEMPLATE_BYTES
from sandpiper.review.reading.yaml_text import parse_yaml

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KeyPath = tuple[str | int, ...]
_REMEDY = "name a CloudFormation template (JSON or YAML) or a cloud assembly"


@dataclass(frozen=True)
class Document:
    """A document.

    Attributes:
        file: The file as the user named it.
        content: The decoded document: mappings, lists, strings, numbers, booleans and None.
        line_of: Returns the line of a key path, or of its nearest parent; None when it is not known.
        sha256: The digest of the file in hexadecimal.
    """

    file: str
    content: dict[str, Any]
    line_of: Callable[[KeyPath], int | None]
    sha256: str


def read_document(path: Path, name: str) -> Document:
    """Reads a JSON or YAML file.

    Args:
        path: The file.
        name: The name of the file in messages.

    Raises:
        TemplateError: The file cannot be read, exceeds a limit, or is not a mapping in JSON or YAML.
    """
    return parse_document(read_limited(path, name, MAX_TEMPLATE_BYTES), name)


def parse_document(data: bytes, name: str) -> Document:
    """Parses the content of a JSON or YAML file; raises the errors of `read_document` except those of reading."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateError(name, f"is not UTF-8 at byte {error.start}", "save it as UTF-8") from None
    line_of: Callable[[KeyPath], int | None]
    if text.lstrip()[:1] == "{":
        content: object = parse_json(text, name)
        line_of = JsonLines(text).line_of
    else:
        content, line_of = parse_yaml(text, name)
    if not isinstance(content, dict):
        raise TemplateError(name, "is not a mapping", _REMEDY)
    return Document(name, cast("dict[str, Any]", content), line_of, hashlib.sha256(data).hexdigest())


def read_limited(path: Path, name: str, limit: int) -> bytes:
    """Reads a regular file of at most `limit` bytes. Raises TemplateError for any other file."""
    try:
        if path.exists() and not path.is_file():  # reading a pipe or a device may never end
            raise TemplateError(name, "is not a regular file", _REMEDY)
        with path.open("rb") as opened:
            data = opened.read(limit + 1)
    except FileNotFoundError:
        raise TemplateError(name, "does not exist", _REMEDY) from None
    except (OSError, ValueError) as error:  # a NUL in the path raises ValueError
        reason = error.strerror if isinstance(error, OSError) else error
        raise TemplateError(name, f"cannot be read ({reason})", _REMEDY) from None
    if len(data) > limit:
        rejected = ", which CloudFormation rejects" if limit == MAX_TEMPLATE_BYTES else ""
        raise TemplateError(name, f"is larger than {limit:,} bytes{rejected}", "split it into nested stacks")
    return data
