"""Which folders of S3 interpreters may be given: no interpreter writes where another one reads or writes."""

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
class _Given:
    """A folder that an interpreter has."""

    interpreter: KeyPath
    option: str
    index: int
    uri: str
    steps: tuple[str, ...]
    """The bucket, and each folder below it."""

    @property
    def key_path(self) -> KeyPath:
        return (*self.interpreter, self.option, self.index)

    @property
    def uri_place(self) -> KeyPath:
        return (*self.key_path, "uri")


def _given(environment: Environment) -> list[_Given]:
    return [
        _Given(key_path, option, index, folder.uri, (folder.bucket, *folder.folder.split("/")))
        for key_path, interpreter in iter_interpreters(environment)
        for option in ("read", "write")
        for index, folder in enumerate(getattr(interpreter, option))
    ]


def _overlaps(environment: Environment) -> Iterator[tuple[_Given, _Given]]:
    """Every pair of folders of which the first lies in the second, or is the same and comes later in the file."""
    by_steps = defaultdict[tuple[str, ...], list[_Given]](list)
    order: dict[KeyPath, int] = {}
    for number, one in enumerate(_given(environment)):
        by_steps[one.steps].append(one)
        order[one.key_path] = number
    for steps, inner in by_steps.items():
        for depth in range(2, len(steps) + 1):
            for outer in by_steps.get(steps[:depth], []):
                yield from (
                    (one, outer) for one in inner if depth < len(steps) or order[one.key_path] > order[outer.key_path]
                )


def _folders_do_not_overlap(environment: Environment) -> Iterator[ConfigIssue]:
    for inner, outer in _overlaps(environment):
        if inner.interpreter == outer.interpreter:
            yield ConfigIssue(
                key_path=inner.key_path,
                problem=f"lies in {outer.option}[{outer.index}] of the same interpreter: {format_value(inner.uri)}",
                allowed="each folder once, for reading or for writing",
                remedy="take one of them out",
                depends_on=(inner.uri_place, outer.uri_place),
            )
        elif "write" in (inner.option, outer.option):
            yield ConfigIssue(
                key_path=inner.key_path,
                problem=f"lies in {format_key_path(outer.key_path)}, which is another interpreter's: "
                f"{format_value(inner.uri)}",
                allowed="no folder of another interpreter, if one of the two writes",
                remedy="give each a folder of its own",
                depends_on=(inner.uri_place, outer.uri_place),
            )


def _own_data_is_nobodys_folder(environment: Environment) -> Iterator[ConfigIssue]:
    own = environment.data_bucket.name
    own = own or data_bucket_name(environment.name, environment.account, environment.region)
    for one in _given(environment):
        if one.steps[:2] == (own, TENANTS_PREFIX):
            yield ConfigIssue(
                key_path=one.key_path,
                problem=f"lies in Sandpiper's own data: {format_value(one.uri)}",
                allowed=f"no folder in {TENANTS_PREFIX}/ of {own}: there, each interpreter has its own already",
                remedy="take it out, or copy what is needed to another folder",
                depends_on=(one.uri_place, ("name",), ("account",), ("region",), ("data_bucket", "name")),
            )


def _folders_are_for_a_role_of_its_own(environment: Environment) -> Iterator[ConfigIssue]:
    for key_path, interpreter in iter_interpreters(environment):
        role = interpreter.execution_role
        if role != "own":
            for option in ("read", "write"):
                if getattr(interpreter, option):
                    yield ConfigIssue(
                        key_path=(*key_path, option),
                        problem=f"is there with execution_role: {'none' if role == 'none' else format_value(role)}",
                        allowed="folders for a role of its own, since nothing is attached to one that exists",
                        remedy=f"take {option} out, or say execution_role: own",
                        depends_on=((*key_path, "execution_role"),),
                    )


FOLDER_CHECKS = (_folders_do_not_overlap, _own_data_is_nobodys_folder, _folders_are_for_a_role_of_its_own)
