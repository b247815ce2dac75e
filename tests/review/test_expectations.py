"""The access that an environment file requires or excludes, compared with the access matrix."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.environment import InvalidEnvironment
from sandpiper.review.access.build import access_matrices
from sandpiper.review.access.expectations import MAX_NAMES, compare_expectations
from sandpiper.review.building.build import build_model
from sandpiper.review.formats import FORMATS
from sandpiper.review.reading.source import UNKNOWN_ACCOUNT
from sandpiper.review.report import Report
from sandpiper.review.review import review_model
from tests.review.rule_cases import grant, put, section
from tests.support.review_templates import (
    RUNS_CODE,
    Template,
    allow,
    deny,
    expectation,
    model_of,
    role,
    secure,
    source_of,
    trust,
)

if TYPE_CHECKING:
    from sandpiper.environment.expected_access import ExpectedOutcome
    from sandpiper.review.access.expectations import ComparedExpectation

FUNCTION = "app/FunctionRole"
AGENT = f"arn:aws:iam::{UNKNOWN_ACCOUNT}:role/agent"
START = "start a session"


def compared(template: Template, principal: str, operation: str, access: ExpectedOutcome) -> ComparedExpectation:
    """Returns the result of one expectation."""
    (found,) = compare_expectations(model_of(template, expectations=[expectation(principal, operation, access)]))
    return found


def with_unknown_value(effect: str) -> Template:
    """Returns a template in which a statement about starting a session has a value of a later deployment."""
    template = secure()
    section("Parameters", {"Arn": {"Type": "String"}})(template)
    own = template["Resources"]["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    own[0] = {**allow(list(RUNS_CODE), {"Ref": "Arn"}), "Effect": effect}
    return template


@pytest.mark.parametrize(
    ("principal", "operation", "access", "result", "reason"),
    [
        (FUNCTION, START, "allowed", "as expected", "allowed by statement 1 of"),
        (FUNCTION, START, "denied", "different", "allowed by statement 1 of"),
        ("app/WorkflowRole", START, "allowed", "as expected", "allowed by statement 1 of"),
        ("app/ExecutionRole", START, "denied", "as expected", "no identity-based policy allows it"),
        ("app/ExecutionRole", START, "allowed", "different", "no identity-based policy allows it"),
        ("administrator of the account", START, "denied", "different", "allowed by statement 1 of a policy that"),
        ("administrator of another account", START, "denied", "as expected", "no resource-based policy allows it"),
        (FUNCTION, "read results", "allowed", "undecided", "the templates contain no such resource"),
        (FUNCTION, "read results", "denied", "undecided", "the templates contain no such resource"),
    ],
)
def test_an_expectation_has_a_result_and_its_reason(
    principal: str, operation: str, access: ExpectedOutcome, result: str, reason: str
) -> None:
    found = compared(secure(), principal, operation, access)
    assert found.comparison.value == result
    assert found.reason.startswith(reason)


@pytest.mark.parametrize("access", ["allowed", "denied"])
def test_a_value_that_is_known_only_after_a_deployment_decides_nothing(access: ExpectedOutcome) -> None:
    found = compared(with_unknown_value("Allow"), FUNCTION, START, access)
    assert found.comparison.value == "undecided"
    assert found.reason.endswith("is known only after a deployment")


def test_a_statement_that_denies_without_unknown_values_decides() -> None:
    template = with_unknown_value("Allow")
    grant({"Effect": "Deny", "Action": list(RUNS_CODE), "Resource": "*"}, to="FunctionRole")(template)
    assert compared(template, FUNCTION, START, "denied").comparison.value == "as expected"


def test_a_statement_that_denies_an_unknown_principal_decides_nothing() -> None:
    template = secure()
    section("Parameters", {"Arn": {"Type": "String"}})(template)
    folder = {"Fn::Sub": "${Bucket.Arn}/tenants/claims/*"}
    statements = template["Resources"]["BucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    statements.append(deny(folder, {"ArnNotEquals": {"aws:PrincipalArn": {"Ref": "Arn"}}}))
    found = compared(template, FUNCTION, "read results", "denied")
    assert found.comparison.value == "undecided"
    assert found.reason.startswith("denied by statement")


def test_policies_that_the_templates_do_not_contain_are_not_an_expected_grant() -> None:
    template = secure()
    put("Caller", {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": trust({"AWS": AGENT})}})(
        template
    )
    allowed, denied = compared(template, AGENT, START, "allowed"), compared(template, AGENT, START, "denied")
    assert (allowed.comparison.value, denied.comparison.value) == ("undecided", "different")
    assert allowed.reason == "the templates do not contain the policies of the principal"


def test_an_unknown_principal_is_one_message_with_the_nearest_names() -> None:
    template = secure()
    for number in range(MAX_NAMES):
        put(f"Role{number}", role("lambda"))(template)
    expected = [expectation("app/FunctionRoles", START, "allowed"), expectation(FUNCTION, START, "allowed")]
    with pytest.raises(InvalidEnvironment) as raised:
        compare_expectations(model_of(template, expectations=expected))
    message = str(raised.value)
    assert message.startswith(
        "app.json:1: expect[0].principal is 'app/FunctionRoles', which is not a principal of the templates; "
        "allowed: app/FunctionRole, app/"
    )
    assert message.count("\n") == 0
    assert " more; correct the name" in message


def test_several_accounts_have_their_own_administrators() -> None:
    accounts = {"app": "111122223333", "app2": "444455556666"}
    sources = [replace(source_of(secure(), name), account=account) for name, account in accounts.items()]
    administrator = "administrator of the account"
    expected = [
        replace(expectation(administrator, "decrypt with the key itself", "allowed"), account=account)
        for account in accounts.values()
    ]
    model = build_model("test", sources, expected)
    labels = [row.label for row, _ in access_matrices(model)[0].rows]
    assert [one for one in labels if one.startswith(administrator)] == [
        f"{administrator} ({account})" for account in accounts.values()
    ]
    keys = [one.cell.resource.split(":")[4] for one in compare_expectations(model)]
    assert keys == list(accounts.values())


def test_reports_show_each_expectation_with_its_result() -> None:
    expected = [expectation(FUNCTION, START, "denied"), expectation("reader of the account", START, "denied")]
    review = review_model(model_of(secure(), expectations=expected), properties=())
    report = Report(review)
    (finding,) = review.open_findings
    assert (finding.rule_id, finding.severity.word, str(finding.location)) == ("access-expected", "high", "app.json:1")
    assert (
        finding.message == f"{FUNCTION}: {START} of tenant claims is allowed, but `expect` requires that it is denied"
    )
    assert finding.evidence[0].startswith("allowed by statement 1 of")
    listed: list[dict[str, Any]] = json.loads(FORMATS["json"](report))["expectations"]
    assert [(one["principal"], one["result"]) for one in listed] == [
        (FUNCTION, "different"),
        ("reader of the account", "as expected"),
    ]
    assert "| reader of the account | start a session | claims | denied | as expected |" in FORMATS["md"](report)
    page = FORMATS["html"](report)
    assert '<td class="refuted">different</td>' in page
    assert '<td class="proved">as expected</td>' in page
