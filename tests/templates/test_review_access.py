"""The access matrix of a review about the templates of the production example."""

from __future__ import annotations

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, get_args

import pytest

from sandpiper.environment.expected_access import AccessOperation
from sandpiper.review.access.build import access_matrices
from sandpiper.review.access.matrix import Access
from sandpiper.review.access.operations import OPERATIONS
from sandpiper.review.formats.as_sarif import to_sarif
from sandpiper.review.report import Report
from sandpiper.review.review import Target, load_model, review_model
from sandpiper.review.targets import reviewable, source_of
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sandpiper.review.access.matrix import Cell, TenantMatrix
    from tests.support.assemblies import Assembly

SIGNS = {Access.ALLOWED: "X", Access.THROUGH: "~", Access.DENIED: ".", Access.UNDECIDED: "?"}
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


EXPECT = """expect:
  - {principal: sandpiper-prod-claims/RunCode/Role, operation: run code in a session, access: allowed, tenant: claims}
  - principal: sandpiper-prod-claims/RunCode/Role
    operation: run code in a session
    access: denied
    tenant: analytics
  - principal: reader of the account
    operation: read logs
    access: denied
    tenant: claims
"""


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


def test_the_environment_file_has_the_operations_of_the_matrix() -> None:
    assert tuple(one.title for one in OPERATIONS) == get_args(AccessOperation)


def test_an_environment_file_requires_and_excludes_access(
    assemblies: dict[str, Assembly], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "prod.yaml"
    file.write_text((PROJECT / "environments" / "prod.yaml").read_text().replace("expect:\n", EXPECT))

    def synthesized(_file: Path, _progress: Callable[[str], None]) -> nullcontext[Path]:
        return nullcontext(assemblies["prod"].directory)

    monkeypatch.setattr("sandpiper.review.targets.synthesized", synthesized)
    with reviewable(str(file), print) as target:
        found = review_model(load_model([target]), properties=())
    assert [(one.tenant, one.comparison.value) for one in found.expectations] == [
        ("claims", "as expected"),
        ("analytics", "as expected"),
        ("claims", "different"),
        *[("claims", "as expected"), ("analytics", "as expected")] * 2,  # of the included file
    ]
    (finding,) = (one for one in found.open_findings if one.rule_id == "access-expected")
    line = file.read_text()[: file.read_text().index("- principal: reader")].count("\n") + 1
    assert (finding.place, finding.location.line) == (str(file), line)
    report = Report(found, source_of([str(file)]))
    (result,) = (
        one for one in json.loads(to_sarif(report))["runs"][0]["results"] if one["ruleId"] == "access-expected"
    )
    (place,) = result["locations"]
    assert place["physicalLocation"] == {
        "artifactLocation": {"uri": file.as_uri()},
        "region": {"startLine": line},
    }
    assert "relatedLocations" not in result
