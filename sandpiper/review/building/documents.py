"""Reads the policy documents of templates, statement by statement."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from sandpiper.review.reading.values import as_list, as_mapping
from sandpiper.review.resolution.no_value import NO_VALUE
from sandpiper_policy.errors import PolicyError
from sandpiper_policy.model.attached import AttachedPolicy
from sandpiper_policy.model.statements import PolicyStatement, PolicyUse, When, statement_key
from sandpiper_policy.model.symbols import OPEN
from sandpiper_policy.syntax import DOCUMENT_ELEMENTS, VERSIONS, StatementSyntax, parse_statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.reading.source import TemplateSource
    from sandpiper.review.resolution.scope import Scope
    from sandpiper_policy.model.statements import Readable

UNKNOWN_ARN = "arn:aws:unknown:::"
"""Precedes a resource that is a symbol, so that it has the form of an ARN."""


@dataclass(frozen=True)
class RawDocument:
    """A policy document of a template, before its intrinsic functions are resolved.

    Attributes:
        source: The template.
        scope: Resolves its values.
        logical_id: The resource that contains the document.
        path: The path of the document below the resource.
        content: The document.
        when: The conditions under which the resource exists.
    """

    source: TemplateSource
    scope: Scope
    logical_id: str
    path: tuple[str | int, ...]
    content: Any
    when: When = ()


class DocumentReader:
    """Reads documents into policies of the model.

    Args:
        readable: Returns a text without hashes, for the keys of statements.
    """

    def __init__(self, readable: Readable) -> None:
        self._readable = readable
        self._names: dict[str, int] = {}

    def read(self, document: RawDocument, use: PolicyUse, holder: str) -> AttachedPolicy:
        """Returns a document at its holder. What IAM would reject is in `problems`, and is not in `statements`."""
        source = document.source
        origin = "/".join(map(str, document.path[1:]))
        name = self._unique(f"{use.value} of {holder} ({source.address(document.logical_id)} {origin})")
        policy = AttachedPolicy(name, use, holder, source.location(document.logical_id, *document.path))
        content, problems = _decoded(document)
        version = document.scope.resolve(content.get("Version", VERSIONS[-1]))
        if version not in VERSIONS:
            problems.append(f"Version is {str(version)[:80]!r}; allowed: {' | '.join(VERSIONS)}")
        if unknown := sorted(content.keys() - DOCUMENT_ELEMENTS):
            problems.append(f"unknown element {', '.join(unknown)[:80]} of a policy")
        statements: list[PolicyStatement] = []
        for path, when, value in _statements(document, content):
            try:
                syntax = _with_arns(parse_statement(len(statements), value))
                statement = PolicyStatement(
                    syntax=syntax,
                    variables=version == VERSIONS[0],
                    policy=name,
                    index=len(statements),
                    use=use,
                    holder=holder,
                    location=source.location(document.logical_id, *document.path, *path),
                    when=(*document.when, *when),
                    key=statement_key(syntax, use, holder, (*document.when, *when), self._readable),
                )
                _ = statement.compiled  # raises PolicyError for what the grammar alone does not reject
                statements.append(statement)
            except PolicyError as error:
                problems.append(f"statement {int(path[1]) + 1 if len(path) > 1 else 1}: {error}")
        if not statements and not problems:
            problems.append("it has no statements")
        return replace(policy, statements=tuple(statements), problems=tuple(problems))

    def _unique(self, name: str) -> str:
        count = self._names[name] = self._names.get(name, 0) + 1
        return name if count == 1 else f"{name} #{count}"


def _decoded(document: RawDocument) -> tuple[dict[str, Any], list[str]]:
    """Returns the content of a document, which can be JSON in a text, and why it cannot be read."""
    if "Statement" in (written := as_mapping(document.content)):
        return written, []
    resolved = document.scope.resolve(document.content)
    if isinstance(resolved, str):
        try:
            resolved = json.loads(resolved)
        except (ValueError, RecursionError):
            return {}, ["it is not JSON"]
    if not isinstance(resolved, dict):
        return {}, ["it is not a mapping"]
    return cast("dict[str, Any]", resolved), []


def _statements(
    document: RawDocument, content: dict[str, Any]
) -> Iterator[tuple[tuple[str | int, ...], When, dict[str, Any]]]:
    """Yields every statement with its path and the conditions under which it exists."""
    raw = content.get("Statement")
    is_list = isinstance(raw, list)
    for index, entry in enumerate(as_list(raw)):
        path = ("Statement", index) if is_list else ("Statement",)
        for when, value in document.scope.alternatives(entry):
            for one in as_list(value):  # a branch of `Fn::If` can be a list of statements
                if one is not NO_VALUE:
                    yield path, when, one if isinstance(one, dict) else as_mapping(one) or {"Effect": one}


def _with_arns(syntax: StatementSyntax) -> StatementSyntax:
    """Returns a statement in which symbols that stand for an ARN have the form of one."""
    if not any(OPEN in value for value in _texts(syntax)):
        return syntax
    resource = replace(syntax.resource, values=tuple(map(_as_arn, syntax.resource.values)))
    conditions = tuple(
        replace(one, values=tuple(map(_as_arn, one.values))) if "arn" in one.operator.lower() else one
        for one in syntax.conditions
    )
    return replace(syntax, resource=resource, conditions=conditions)


def _texts(syntax: StatementSyntax) -> Iterator[str]:
    yield from syntax.resource.values
    for one in syntax.conditions:
        yield from one.values


def _as_arn(value: str) -> str:
    return UNKNOWN_ARN + value if value.startswith(OPEN) else value
