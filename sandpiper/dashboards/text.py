"""The Markdown of text widgets, as HTML for a page and as lines for a picture. Its HTML and images are not rendered."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from markdown_it.token import Token

BUTTON = re.compile(r"\[button:(?:primary:)?\s*([^\]]*)\]\(")
"""CloudWatch's syntax for a link that looks like a button."""
FIRST_LEVEL = 3
"""Level of the first heading of a text. The title of a dashboard has level 2."""


@dataclass(frozen=True)
class Block:
    """One paragraph, heading, list item, line of code or table row. `indent` is the depth of a list item."""

    text: str
    is_heading: bool = False
    is_code: bool = False
    indent: int = 0


def as_html(markdown: str) -> str:
    """Returns HTML. Levels of headings follow the title of the dashboard without a gap."""
    tokens = _parsed(markdown)
    levels = sorted({token.tag for token in tokens if token.type == "heading_open"})
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(6, FIRST_LEVEL + levels.index(token.tag))}"
    return _markdown().renderer.render(tokens, _markdown().options, {})


def as_blocks(markdown: str) -> tuple[Block, ...]:
    """Returns the text as lines, without the addresses of links."""
    return tuple(_blocks(_parsed(markdown)))


@functools.cache
def _markdown() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


def _parsed(markdown: str) -> list[Token]:
    return _markdown().parse(BUTTON.sub(r"[\1](", markdown))


def _blocks(tokens: Sequence[Token]) -> Iterator[Block]:
    depth, is_heading, bullet = 0, False, ""
    row: list[str] | None = None
    for token in tokens:
        if token.type in ("bullet_list_open", "ordered_list_open", "bullet_list_close", "ordered_list_close"):
            depth += token.nesting
        elif token.type == "list_item_open":
            bullet = f"{token.info}. " if token.info else "• "
        elif token.type in ("heading_open", "heading_close"):
            is_heading = token.nesting == 1
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close":
            yield Block("  |  ".join(row or []))
            row = None
        elif token.type in ("fence", "code_block"):
            yield from (Block(line, is_code=True) for line in token.content.rstrip("\n").split("\n"))
        elif token.type == "inline":
            lines = _plain(token).split("\n")
            if row is not None:
                row.append(" ".join(lines))
                continue
            for line in lines:
                yield Block(bullet + line, is_heading, indent=max(0, depth - 1))
                bullet = "  " if depth else ""


def _plain(token: Token) -> str:
    breaks = {"softbreak": " ", "hardbreak": "\n"}
    return "".join(breaks.get(child.type, child.content) for child in token.children or [])
