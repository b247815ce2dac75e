"""The formats of a review, each with the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sandpiper.review.formats.as_json import to_json
from sandpiper.review.formats.as_markdown import to_markdown

if TYPE_CHECKING:
    from sandpiper.review.result import Review

Writer = Callable[["Review"], str]
FORMATS: Mapping[str, Writer] = {"md": to_markdown, "json": to_json}
"""The writers by the name of the format, which is also the suffix of its files."""
