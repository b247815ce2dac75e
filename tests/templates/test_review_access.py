"""The access matrix of a review about the templates of the production example."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sandpiper.review.access.build import access_matrices
from sandpiper.review.access.matrix import Access
from sandpiper.review.review import Target, load_model

if TYPE_CHECKING:
    from sandpiper.review.access.matrix import Cell, TenantMatrix
    from tests.support.assemblies import Assembly

SIGNS = {Access.ALLOWED: "X", Access.THROUGH: "~", Access.DENIED: "."}
EXPECTED = {
    # start workflow, function, session, code | inputs, results, results, records | logs, key | four kinds of changes
    "InterpretersandboxExecutionRole": ".... .... .. ....",
    "SessionStopperRole": ".... .... .. ....",
    "SessionFunctionRole": "..XX .XXX .. ....",
    "RunCodeRole": ".X~~ .~~~ .. ....",
    "administrator of the account": "XXXX .... X. XXXX",
    "power user of the account": "XXXX .... X. XX.X",
    "reader of the account": ".... .... X. ....",
    "deployment role of the CDK": "XXXX .... X. XXXX",
    "administrator of another account": ".... .... .. ....",
}


@pytest.fixture(scope="module")
def matrices(assemblies: dict[str, Assembly]) -> dict[str, TenantMatrix]:
    model = load_model([Target(assemblies["prod"].directory, "cdk.out")])
    return {one.tenant: one for one in access_matrices(model)}


def cells_of(matrix: TenantMatrix, part: str) -> dict[str, Cell]:
    """Returns the cells of the principal whose label contains a text, by operation."""
    (cells,) = [cells for row, cells in matrix.rows if part in row.label]
    return dict(zip(matrix.operations, cells, strict=True))


@pytest.mark.parametrize("principal", EXPECTED)
def test_principal_of_a_tenant_has_the_expected_access(matrices: dict[str, TenantMatrix], principal: str) -> None:
    cells = cells_of(matrices["claims"], principal)
    assert "".join(SIGNS[cell.access] for cell in cells.values()) == EXPECTED[principal].replace(" ", "")


def test_roles_of_another_tenant_have_no_access(matrices: dict[str, TenantMatrix]) -> None:
    *_, (row, cells) = matrices["claims"].rows
    assert row.label == "the 6 other roles and users of the templates"
    assert {cell.access for cell in cells} == {Access.DENIED}
    assert not any("analytics" in row.label for row, _ in matrices["claims"].rows)


def test_each_cell_names_the_deciding_statement(matrices: dict[str, TenantMatrix]) -> None:
    administrator = cells_of(matrices["claims"], "administrator of the account")
    assert administrator["read results"].reason.startswith("denied by statement OnlyRolesOfTenants of resource policy")
    assert administrator["start a session"].reason == "allowed by statement 1 of a policy that allows everything"
    assert administrator["decrypt with the key itself"].reason == "no resource-based policy allows it"
    workflow = cells_of(matrices["claims"], "RunCodeRole")
    assert workflow["run code in a session"].path == ("sandpiper-prod-claims/SessionFunction256B1124",)
