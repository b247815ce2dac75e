"""Checks the permissions of an existing execution role, which every program in a session of its interpreters has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandpiper_policy.document import PolicyKind, parse_policy
from sandpiper_policy.syntax import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from sandpiper_policy.document import Statement

RISKY_ACTIONS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), consequence)
    for pattern, consequence in (
        (r"\*(:\*)?", "every action"),
        (r"iam:PassRole", "with which code can give roles to services and use their permissions"),
        (r"iam:.*", "an action of IAM, with which code can extend its own permissions"),
        (r"sts:(AssumeRole.*|.*[*?].*)", "with which code can assume other roles"),
        (r".*[*?].*", "a wildcard, which includes actions that AWS adds later"),
    )
)
"""Actions that code should not have, with the consequence. The first match counts."""


@dataclass(frozen=True)
class Folder:
    """A folder of a bucket, without a trailing slash, that the interpreters of a role use."""

    bucket: str
    path: str


def permission_problems(name: str, document: Mapping[str, Any], folders: Sequence[Folder]) -> Iterator[str]:
    """Yields the problems of one policy of a role. Statements that deny are not taken into account.

    Args:
        name: The name of the policy.
        document: The decoded policy.
        folders: The folders of the interpreters that use the role.

    Raises:
        PolicyError: The document is not a policy.
    """
    for statement in parse_policy(name, PolicyKind.IDENTITY, document).statements:
        if statement.effect is Effect.ALLOW:
            yield from (f"{statement} allows {problem}" for problem in _problems(statement, folders))


def _problems(statement: Statement, folders: Sequence[Folder]) -> Iterator[str]:
    actions = [action.source for action in statement.actions]
    if statement.not_actions:
        yield f"all actions except {', '.join(actions)}"
    else:
        for action in actions:
            if consequence := _consequence(action):
                yield f"{action}, {consequence}"
    if statement.not_resources:
        yield "resources by NotResource, which includes all others"
        return
    for resource in statement.resources:
        if resource is None:
            yield f"{', '.join(actions)} on all resources"
        elif resource.source.split(":")[2:3] in (["s3"], ["*"]) and not _is_in(resource.source, statement, folders):
            yield f"{', '.join(actions)} on {resource.source}, which is no folder of its interpreters"


def _consequence(action: str) -> str | None:
    return next((consequence for pattern, consequence in RISKY_ACTIONS if pattern.fullmatch(action)), None)


def _is_in(resource: str, statement: Statement, folders: Sequence[Folder]) -> bool:
    """Returns whether a resource of S3 is in one of the folders, or a bucket of which the keys in a folder are listed.

    Only the literal start of a pattern counts: `*` also matches slashes.
    """
    bucket, _, key = resource.partition(":::")[2].partition("/")
    if key:
        return any(bucket == one.bucket and key.startswith(f"{one.path}/") for one in folders)
    prefixes = [
        value
        for condition in statement.conditions
        if condition.key.lower() == "s3:prefix" and condition.operator in ("StringEquals", "StringLike")
        for value in condition.values
    ]
    return bool(prefixes) and all(
        any(bucket == one.bucket and prefix.startswith(f"{one.path}/") for one in folders) for prefix in prefixes
    )
