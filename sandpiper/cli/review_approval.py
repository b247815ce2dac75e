"""The file of an approval: where `sandpiper review --approve` writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.cli.output import print_note, write_text
from sandpiper.errors import CliError
from sandpiper.review.baseline.file import approve, to_text
from sandpiper.review.baseline.path import baseline_of
from sandpiper.review.targets import file_of_environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sandpiper.review.result import Review

MAX_NAME = 100


def approval_file(targets: Sequence[str], baseline: Path | None, by: str) -> Path:
    """Returns the file to write.

    Raises:
        CliError: No name is given, or no file for a target that is not one environment.
    """
    if not by.strip() or len(by) > MAX_NAME or not by.isprintable():
        raise CliError(f"--approve needs --by NAME: 1 to {MAX_NAME} printable characters, such as --by 'Ada Lovelace'")
    if baseline is not None:
        return baseline
    file = file_of_environment(targets[0]) if len(targets) == 1 else None
    if file is None:
        raise CliError("--approve needs --baseline FILE, because the target is not one environment")
    return baseline_of(file)


def write_approval(file: Path, review: Review, by: str) -> None:
    """Writes the approval of a review. Raises CliError if that fails."""
    approved = approve(review, by.strip())
    write_text(file, to_text(approved))
    print_note(f"approved {len(approved.entries):,} grants and limits in {file}; commit this file")
