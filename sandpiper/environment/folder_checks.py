"""Checks the S3 folders of interpreters: no interpreter writes to a folder that another one reads or writes."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, format_key_path, format_value
from sandpiper.environment.traversal import iter_interpreters
from sandpiper.names import TENANTS_PREFIX, data_bucket_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.errors import KeyPath
    from sandpiper.environment.model import Environment


@dataclass(frozen=True)
class _Folder:
    """A folder in the `read` or `write` list (`option`) of an interpreter. `steps` are the bucket and each folder."""

    interpreter: KeyPath
    option: str
    index: int
    uri: str
    steps: tuple[str, ...]

    @property
    def key_path(self) -> KeyPath:
        return (*self.interpreter, self.option, self.index)

    @property
    def uri_key_path(self) -> KeyPath:
        return (*self.key_path, "uri")


def _folders(environment: Environment) -> list[_Folder]:
    return [
        _Folder(key_path, option, index, folder.uri, (folder.bucket, *folder.folder.split("/")))
        for key_path, interpreter in iter_interpreters(environment)
        for option in ("read", "write")
        for index, folder in enumerate(getattr(interpreter, option))
    ]


def _overlaps(environment: Environment) -> Iterator[tuple[_Folder, _Folder]]:
    """Yields pairs of folders: the first is inside the second, or is equal to it and comes later in the file."""
    by_steps = defaultdict[tuple[str, ...], list[_Folder]](list)
    order: dict[KeyPath, int] = {}
    for number, folder in enumerate(_folders(environment)):
        by_steps[folder.steps].append(folder)
        order[folder.key_path] = number
    for steps, inner_folders in by_steps.items():
        for depth in range(2, len(steps) + 1):
            for outer in by_steps.get(steps[:depth], []):
                yield from (
                    (inner, outer)
                    for inner in inner_folders
                    if depth < len(steps) or order[inner.key_path] > order[outer.key_path]
                )


def _check_overlaps(environment: Environment) -> Iterator[ConfigIssue]:
    for inner, outer in _overlaps(environment):
        depends_on = (inner.uri_key_path, outer.uri_key_path)
        if inner.interpreter == outer.interpreter:
            yield ConfigIssue(
                key_path=inner.key_path,
                problem=f"overlaps {outer.option}[{outer.index}] of the same interpreter: {format_value(inner.uri)}",
                allowed="each folder once, for reading or for writing",
                remedy="remove one of them",
                depends_on=depends_on,
            )
        elif "write" in (inner.option, outer.option):
            yield ConfigIssue(
                key_path=inner.key_path,
                problem=f"overlaps {format_key_path(outer.key_path)} of another interpreter: {format_value(inner.uri)}",
                allowed="no folder of another interpreter if one of the two writes",
                remedy="use a separate folder for each interpreter",
                depends_on=depends_on,
            )


def _check_data_bucket_folders(environment: Environment) -> Iterator[ConfigIssue]:
    bucket = environment.data_bucket.name
    bucket = bucket or data_bucket_name(environment.name, environment.account, environment.region)
    for folder in _folders(environment):
        if folder.steps[:2] == (bucket, TENANTS_PREFIX):
            yield ConfigIssue(
                key_path=folder.key_path,
                problem=f"is in Sandpiper's own data: {format_value(folder.uri)}",
                allowed=f"no folder in {TENANTS_PREFIX}/ of {bucket}, where each interpreter already has a folder",
                remedy="remove it, or copy the files to another folder",
                depends_on=(folder.uri_key_path, ("name",), ("account",), ("region",), ("data_bucket", "name")),
            )


def _check_folders_have_own_role(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        role = interpreter.execution_role
        if role == "own":
            continue
        for option in ("read", "write"):
            if getattr(interpreter, option):
                yield ConfigIssue(
                    key_path=(*key_path, option),
                    problem=f"is set with execution_role: {'none' if role == 'none' else format_value(role)}",
                    allowed="folders only with execution_role: own, because Sandpiper does not change existing roles",
                    remedy=f"remove {option}, or set execution_role: own",
                    depends_on=((*key_path, "execution_role"),),
                )


FOLDER_CHECKS = (_check_overlaps, _check_data_bucket_folders, _check_folders_have_own_role)
