"""Remembers which files earlier runs saved into a folder, so that a later run can replace them.

A file that the user created or changed is kept: it is not in the list, or its content differs from the saved one. The
lists are in the state folder of the user, `$XDG_STATE_HOME/sandpiper/saved` (`~/.local/state` by default).
https://specifications.freedesktop.org/basedir-spec/latest/
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sandpiper.safe_write import has_content


@dataclass(frozen=True)
class SavedFiles:
    """The files that runs saved into a folder: SHA-256 hashes by path."""

    folder: Path
    hashes: dict[str, str]

    @classmethod
    def read(cls, folder: Path) -> SavedFiles:
        """Reads the list of a folder. A missing or invalid list is empty, so that every file is kept."""
        try:
            found: object = json.loads(_list_of(folder).read_text(encoding="utf-8"))
        except (OSError, RuntimeError, ValueError):
            return cls(folder, {})
        pairs = cast("dict[str, object]", found).items() if isinstance(found, dict) else ()
        return cls(folder, {path: sha256 for path, sha256 in pairs if isinstance(sha256, str)})

    def may_replace(self, path: str, sha256: str) -> bool:
        """Returns whether an earlier run saved the file with other content and it has not changed since."""
        return self.hashes.get(path) not in (None, sha256) and has_content(self.folder, path, self.hashes[path])

    def add(self, path: str, sha256: str) -> None:
        """Adds a saved file to the list. If the list cannot be written, later runs keep the file."""
        if self.hashes.get(path) == sha256:
            return
        self.hashes[path] = sha256
        with suppress(OSError, RuntimeError):
            target = _list_of(self.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            new = target.with_suffix(f".{os.getpid()}")
            new.write_text(json.dumps(self.hashes, indent=1), encoding="utf-8")
            new.replace(target)


def _list_of(folder: Path) -> Path:
    """Returns the file with the list of a folder. Raises RuntimeError if the user has no home folder."""
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "sandpiper" / "saved" / f"{hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()}.json"
