"""The directories of the host that contain programs and libraries, and what of them a sandbox shows."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .layout import SHOWN_BELOW_USR, USR, is_shown_below_usr

ROOT_DIRECTORIES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories of / that are links into /usr on most machines."""
MOUNT_POINT_FIELD = 4
MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True)
class Source:
    """A file or directory of the host that is staged for a sandbox.

    Attributes:
        path: Path on the host.
        name: Path in the stage.
        shown: Names that are visible, by the path of a directory in the source. All others there are hidden.
    """

    path: str
    name: str
    shown: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def system_directories() -> list[Source]:
    """Returns /usr, the file systems that are mounted below it, and directories of / that are not links."""
    others = [Path("/", name) for name in ROOT_DIRECTORIES]
    directories = [USR, *_mounts_below_usr(), *(path for path in others if path.is_dir() and not path.is_symlink())]
    return [Source(str(path), str(path).lstrip("/"), _shown_in(path)) for path in directories]


def root_links() -> dict[str, str]:
    """Returns the targets of links in / by path."""
    paths = [Path("/", name) for name in ROOT_DIRECTORIES]
    return {str(path): str(path.readlink()) for path in paths if path.is_symlink()}


def _shown_in(path: Path) -> dict[str, list[str]]:
    return {
        str((USR / directory).relative_to(path)): names
        for directory, names in SHOWN_BELOW_USR.items()
        if (USR / directory).is_relative_to(path)
    }


def _mounts_below_usr() -> list[Path]:
    """Returns the visible mount points below /usr, parents first. An overlay does not show what is mounted below it."""
    fields = (line.split()[MOUNT_POINT_FIELD] for line in MOUNTS.read_text().splitlines())
    points = {Path(text.encode().decode("unicode_escape")) for text in fields if text.startswith(f"{USR}/")}
    return sorted(path for path in points if is_shown_below_usr(path) and path.is_dir())
