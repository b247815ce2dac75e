"""Limits the size of an environment file, so that a hostile file is rejected within a second.

An alias or a merge key counts as all the values that it stands for: a few hundred bytes of nested aliases can stand
for more values than fit into memory. The values are counted while the text is parsed, before anything is built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, cast

from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent
from ruamel.yaml.parser import Parser

MAX_FILE_BYTES = 512 * 1024
MAX_VALUES = 20_000
"""Keys and values. A file with 500 tenants has about 10,000; the parser reads some 60,000 per second."""
MAX_DEPTH = 50
"""An environment file nests about ten levels."""


@dataclass(frozen=True)
class DocumentLimits:
    """Limits of a document: the number of keys and values, and the levels of nesting."""

    values: int = MAX_VALUES
    depth: int = MAX_DEPTH


class DocumentLimitError(Exception):
    """A document exceeds a limit.

    Attributes:
        line: The line that exceeds it, from 1.
        problem: What the line does, for the message.
        allowed: What is allowed.
    """

    def __init__(self, line: int, problem: str, allowed: str) -> None:
        super().__init__(problem)
        self.line, self.problem, self.allowed = line, problem, allowed


class LimitedParser(Parser):
    """Counts the values of a document as they are after all aliases are replaced.

    Raises DocumentLimitError for too many values, too many levels, or a value that contains itself. A subclass for
    other documents has other `limits`.
    """

    limits: ClassVar[DocumentLimits] = DocumentLimits()

    def __init__(self, loader: Any) -> None:
        super().__init__(loader)
        self._total = 0
        self._sizes: dict[str, int] = {}
        """The number of values that each anchor stands for."""
        self._open: list[tuple[str | None, int]] = []
        """The anchor of each collection that has not ended, and the total before it."""

    def get_event(self) -> Any:
        """Returns the next event of the document."""
        event = cast("Any", super().get_event())
        anchor = cast("str | None", getattr(event, "anchor", None))
        if isinstance(event, CollectionEndEvent):
            anchor, before = self._open.pop()
            if anchor is not None:
                self._sizes[anchor] = self._total - before
        elif isinstance(event, AliasEvent):
            self._count_alias(event)
        elif isinstance(event, ScalarEvent | CollectionStartEvent):
            self._total += 1
            if isinstance(event, CollectionStartEvent):
                self._open.append((anchor, self._total - 1))
            elif anchor is not None:
                self._sizes[anchor] = 1
        self._check(event)
        return event

    def _count_alias(self, event: Any) -> None:
        if any(event.anchor == anchor for anchor, _ in self._open):
            problem = f"has the alias *{event.anchor} inside the value that it stands for"
            raise DocumentLimitError(_line(event), problem, "aliases of other values")
        self._total += self._sizes.get(event.anchor, 1)

    def _check(self, event: Any) -> None:
        values, depth = self.limits.values, self.limits.depth
        if self._total > values:
            problem = f"is beyond the first {values:,} keys and values"
            raise DocumentLimitError(_line(event), problem, f"{values:,}, with aliases replaced by their values")
        if len(self._open) > depth:
            raise DocumentLimitError(_line(event), f"is below {depth} levels", f"{depth} levels of nesting")


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
