"""Compares the access that an environment file requires or excludes with the access matrix."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from sandpiper.environment.errors import ConfigIssue, InvalidEnvironment, format_value
from sandpiper.review.access.build import NO_GRANT, NOTHING, access_matrices
from sandpiper.review.access.matrix import Access, named_in_account
from sandpiper.review.access.rows import requesters
from sandpiper_policy.model.location import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.environment.expected_access import ExpectedOutcome
    from sandpiper.review.access.matrix import Cell, Row, TenantMatrix
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.report import EnvironmentFile

MAX_NAMES = 20
"""Principals that a message about an unknown one lists."""


@dataclass(frozen=True)
class Expectation:
    """An entry of `expect` in an environment file.

    Attributes:
        principal: The name of the principal in the access matrix, or the construct path of a role.
        operation: The title of the operation.
        access: The required outcome: `allowed` or `denied`.
        tenants: The tenants whose data and programs the operation is about.
        account: The account of the environment.
        index: The index of the entry, from 0.
        location: The position of the entry.
    """

    principal: str
    operation: str
    access: ExpectedOutcome
    tenants: tuple[str, ...]
    account: str
    index: int
    location: Location


class Comparison(Enum):
    """The result of a comparison with the access matrix."""

    MET = "as expected"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class ComparedExpectation:
    """An expectation about one tenant with its result.

    Attributes:
        expectation: The expectation.
        tenant: The tenant.
        cell: The cell of the access matrix.
        comparison: The result.
        reason: The deciding statement, or why nothing is decided.
    """

    expectation: Expectation
    tenant: str
    cell: Cell
    comparison: Comparison
    reason: str


def expectations_of(source: EnvironmentFile) -> tuple[Expectation, ...]:
    """Returns the expectations of an environment file with their lines."""
    environment = source.environment
    return tuple(
        Expectation(
            principal=one.principal,
            operation=one.operation,
            access=one.access,
            tenants=tuple(environment.all_tenants) if one.tenant is None else (one.tenant,),
            account=environment.account,
            index=index,
            location=Location(source.path, source.positions.line_of(("expect", index))),
        )
        for index, one in enumerate(environment.expect)
    )


def compare_expectations(model: ReviewModel) -> tuple[ComparedExpectation, ...]:
    """Compares every expectation of a model with the access matrix, for each of its tenants.

    Raises:
        InvalidEnvironment: The templates have no principal with the name of an expectation.
    """
    if not model.expectations:
        return ()
    _require_known_principals(model)
    matrices = {one.tenant: one for one in access_matrices(model)}
    return tuple(
        _compared(expectation, tenant, _cell_of(matrices.get(tenant), expectation))
        for expectation in model.expectations
        for tenant in expectation.tenants
    )


def _require_known_principals(model: ReviewModel) -> None:
    rows = [one.row for one in requesters(model)]
    names = list(dict.fromkeys(name for row in rows for name in row.names))
    issues = [
        ConfigIssue(
            key_path=("expect", one.index, "principal"),
            problem=f"is {format_value(one.principal)}, which is not a principal of the templates",
            allowed=", ".join(_nearest(one.principal, names)),
            remedy="correct the name; the access matrix of the report has all names",
            file=Path(one.location.file),
            line=one.location.line,
        )
        for one in model.expectations
        if not any(_is_about(one, row) for row in rows)
    ]
    if issues:
        raise InvalidEnvironment(*issues)


def _nearest(name: str, names: list[str]) -> Iterator[str]:
    """Yields the names that are most like a name, and then the others, up to `MAX_NAMES`."""
    nearest = dict.fromkeys([*get_close_matches(name, names, cutoff=0.5), *names])
    yield from list(nearest)[:MAX_NAMES]
    if len(nearest) > MAX_NAMES:
        yield f"and {len(nearest) - MAX_NAMES:,} more"


def _is_about(expectation: Expectation, row: Row) -> bool:
    name = expectation.principal
    return name in row.names or named_in_account(name, expectation.account) in row.names


def _cell_of(matrix: TenantMatrix | None, expectation: Expectation) -> Cell:
    """Returns the cell of a known principal. One without a row has no access, and none has an unknown tenant."""
    if matrix is None:
        return NOTHING
    number = matrix.operations.index(expectation.operation)
    return next((cells[number] for row, cells in matrix.rows if _is_about(expectation, row)), NO_GRANT)


def _compared(expectation: Expectation, tenant: str, cell: Cell) -> ComparedExpectation:
    reason = cell.reason
    if cell.access is Access.UNDECIDED:
        comparison = Comparison.UNDECIDED
    elif (expectation.access == "allowed") is not cell.access.is_access:
        comparison = Comparison.DIFFERENT
    elif cell.access.is_access and cell.assumed:
        comparison, reason = Comparison.UNDECIDED, "the templates do not contain the policies of the principal"
    else:
        comparison = Comparison.MET
    return ComparedExpectation(expectation, tenant, cell, comparison, reason)
