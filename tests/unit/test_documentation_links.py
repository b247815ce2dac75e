"""Links and commands of the documentation exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from sandpiper.cli import app
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=PROJECT, capture_output=True, text=True, check=True)
PAGES = [PROJECT / name for name in _LISTED.stdout.splitlines()]
_FENCED = re.compile(r"^ *```\w*\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> set[str]:
    """Returns the anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", page.read_text()), re.MULTILINE)
    texts = (re.sub(r"\[([^]]*)]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w -]", "", text).strip().replace(" ", "-") for text in texts}


def commands(page: Path) -> Iterator[str]:
    """Yields the commands of Sandpiper on a page: lines of code blocks, and code in sentences."""
    text = page.read_text()
    lines = (line.strip() for block in _FENCED.findall(text) for line in block.replace("\\\n", " ").splitlines())
    yield from (re.split(r" [#|>] | (?:&&|\|\|) ", line)[0] for line in lines if line.startswith("sandpiper "))
    yield from (" ".join(one.split()) for one in re.findall(r"`(sandpiper [^`]+)`", _FENCED.sub("", text)))


def broken_links(page: Path) -> Iterator[str]:
    """Yields the links of a page to files and headings that do not exist."""
    text = _FENCED.sub("", page.read_text()).replace("\n", " ")
    for link in re.findall(r"]\(([^)\s]+)\)", text):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if link.startswith(("http", "mailto:")):
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield link


def test_every_link_leads_to_a_file_and_a_heading() -> None:
    assert [(page.name, link) for page in PAGES for link in broken_links(page)] == []


def unknown_words(root: Any, line: str) -> set[str]:
    """Returns the subcommands and flags of a command line that do not exist."""
    command, words = root, shlex.split(line)[1:]
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    if hasattr(command, "commands") and words and not words[0].startswith("-"):
        return {words[0]}
    flags = {flag for each in command.params for flag in (*each.opts, *each.secondary_opts)} | {"--help"}
    return {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)} - flags


def test_every_documented_command_exists_with_its_options() -> None:
    root = get_command(app)
    lines = [(page.name, line) for page in PAGES for line in commands(page)]
    assert len(lines) > 100
    assert [(page, line, unknown) for page, line in lines if (unknown := unknown_words(root, line))] == []
