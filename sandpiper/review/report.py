"""What a report contains besides the review: the environment, the commit and the changes since an approval."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.environment.model import Environment
    from sandpiper.environment.source_positions import SourcePositions
    from sandpiper.review.baseline.compare import Changes
    from sandpiper.review.result import Review

GIT_SECONDS = 5


@dataclass(frozen=True)
class EnvironmentFile:
    """The environment file that the reviewed templates come from.

    Attributes:
        path: Its path as the user named it.
        environment: Its options.
        positions: The lines of its options.
    """

    path: str
    environment: Environment
    positions: SourcePositions


@dataclass(frozen=True)
class Report:
    """A review with what its formats show in addition.

    Attributes:
        review: The review.
        source: The environment file; None for assemblies, templates and several targets.
        commit: The git commit of the reviewed files; empty if it is not known.
        changes: The changes since an approval; None without a baseline.
    """

    review: Review
    source: EnvironmentFile | None = None
    commit: str = ""
    changes: Changes | None = None


def git_commit(folder: Path) -> str:
    """Returns the commit that is checked out in a folder, with `, changed` if files differ from it.

    Returns an empty text if the folder is not in a git repository or git is not installed.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    return f"{commit}, changed" if commit and _git(folder, "status", "--porcelain", "--", ".") else commit


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
