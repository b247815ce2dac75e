"""Proofs of a review about the templates of environments, and about templates with planted grants."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.review.proofs.properties import PROPERTIES
from sandpiper.review.proofs.prove_all import prove_properties
from sandpiper.review.review import Target, load_model, review
from sandpiper_policy.proofs.attack import attack
from sandpiper_policy.proofs.prover import ProofOutcome

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.review.proofs.question import ProvedProperty
    from tests.support.assemblies import Assembly

ATTACKS = 100
"""Random requests against each proof. `make bench ARGS=review` sends 10,000."""
ENVIRONMENTS = ("prod", "dev", "local")
Statements = list[dict[str, Any]]
Change = Callable[[dict[str, Any]], None]


def proofs_of(directory: Path) -> dict[str, ProvedProperty]:
    """Returns the proofs about a cloud assembly by property."""
    model = load_model([Target(directory, directory.name)])
    return {one.proposition.id: one for one in prove_properties(model)}


@pytest.fixture(scope="module")
def prod(assemblies: dict[str, Assembly]) -> dict[str, ProvedProperty]:
    return proofs_of(assemblies["prod"].directory)


def unproved(proofs: dict[str, ProvedProperty]) -> set[str]:
    return {id_ for id_, one in proofs.items() if one.outcome not in (ProofOutcome.PROVED, None)}


def test_every_property_of_production_is_proved(prod: dict[str, ProvedProperty]) -> None:
    assert unproved(prod) == set()
    without_subject = {id_ for id_, one in prod.items() if one.outcome is None}
    assert without_subject == {"public-no-data"}, "prod has no interpreter with internet access"


@pytest.mark.parametrize(("environment", "refuted"), [("dev", set[str]()), ("local", {"public-no-data"})])
def test_properties_of_an_environment_are_proved_except_what_its_options_allow(
    assemblies: dict[str, Assembly], environment: str, refuted: set[str]
) -> None:
    assert unproved(proofs_of(assemblies[environment].directory)) == refuted


def test_only_the_granted_folders_of_an_environment_with_every_option_refute_a_property(rich: Assembly) -> None:
    proofs = proofs_of(rich.directory)
    assert unproved(proofs) == {"public-no-data"}


def test_random_requests_do_not_refute_a_proof(prod: dict[str, ProvedProperty]) -> None:
    allowed = 0
    for proved in prod.values():
        for answer in proved.answers:
            count, refuting = attack(answer.question.claim, ATTACKS)
            assert refuting is None, (answer.question.sentence, refuting)
            allowed += count
    assert allowed, "the requests are too far from the policies"


def role(template: dict[str, Any], part: str) -> dict[str, Any]:
    """Returns the properties of the role whose logical ID contains a text."""
    return next(
        resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::IAM::Role" and part in name
    )


def trust_of(template: dict[str, Any]) -> dict[str, Any]:
    return role(template, "ExecutionRole")["AssumeRolePolicyDocument"]["Statement"][0]


def grant(part: str, *actions: str, resource: Any = "*") -> Change:
    """Returns a change of a template that allows a role more."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}

    def change(template: dict[str, Any]) -> None:
        document = {"Version": "2012-10-17", "Statement": [statement]}
        role(template, part).setdefault("Policies", []).append({"PolicyName": "more", "PolicyDocument": document})

    return change


def without_condition(key: str) -> Change:
    """Returns a change that removes a condition of the trust policy of the interpreter."""

    def change(template: dict[str, Any]) -> None:
        statement = trust_of(template)
        statement["Condition"] = {
            operator: keys for operator, keys in statement["Condition"].items() if key not in json.dumps(keys)
        }

    return change


def everyone_assumes(template: dict[str, Any]) -> None:
    trust_of(template)["Principal"] = {"AWS": "*"}


def bucket_statements(template: dict[str, Any]) -> Statements:
    name = next(name for name in template["Resources"] if name.startswith("DataBucketDataPolicy"))
    return template["Resources"][name]["Properties"]["PolicyDocument"]["Statement"]


def without_statement(sid: str) -> Change:
    def change(template: dict[str, Any]) -> None:
        statements = bucket_statements(template)
        statements[:] = [each for each in statements if each.get("Sid") != sid]

    return change


def public_bucket(template: dict[str, Any]) -> None:
    statements = bucket_statements(template)
    statements.append({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{DATA}/public/*"})


def lambda_assumes(template: dict[str, Any]) -> None:
    trust_of(template)["Principal"] = {"Service": ["bedrock-agentcore.amazonaws.com", "lambda.amazonaws.com"]}
    trust_of(template).pop("Condition")


def a_role_assumes(template: dict[str, Any]) -> None:
    trust_of(template)["Principal"] = {"AWS": "arn:aws:iam::444455556666:role/path/operator"}
    trust_of(template).pop("Condition")


CLAIMS, STORAGE = "sandpiper-prod-claims", "sandpiper-prod-storage"
DATA = "arn:aws:s3:::sandpiper-prod-444455556666-eu-west-1"
INTERPRETER = "arn:aws:bedrock-agentcore:eu-west-1:444455556666:code-interpreter-custom/*"
PLANTED: dict[str, tuple[str, list[tuple[str, Change]]]] = {
    "no source account": ("trust-own-account", [(CLAIMS, without_condition("aws:SourceAccount"))]),
    "no source ARN": ("trust-own-interpreter", [(CLAIMS, without_condition("aws:SourceArn"))]),
    "everyone assumes the role": ("trust-no-other", [(CLAIMS, everyone_assumes)]),
    "another service assumes the role": ("trust-no-other", [(CLAIMS, lambda_assumes)]),
    "a named role assumes the role": ("trust-no-other", [(CLAIMS, a_role_assumes)]),
    "a prefix without a slash": (
        "writes-own-folder",
        [
            (CLAIMS, grant("ExecutionRole", "s3:PutObject", resource=f"{DATA}/tenants/claims*")),
            (STORAGE, without_statement("OnlyTheirOwnTenant")),
        ],
    ),
    "the folder of another tenant": (
        "data-own-tenant",
        [
            (CLAIMS, grant("ExecutionRole", "s3:GetObject", resource=f"{DATA}/tenants/*")),
            (STORAGE, without_statement("OnlyTheirOwnTenant")),
        ],
    ),
    "the runs of the tenant": (
        "data-own-run",
        [
            (CLAIMS, grant("ExecutionRole", "s3:GetObject", resource=f"{DATA}/tenants/claims/*")),
            (STORAGE, without_statement("InputsAndRunsOfSessionFunctions")),
        ],
    ),
    "the interpreter of another tenant": (
        "callers-own-interpreters",
        [(CLAIMS, grant("SessionFunctionRole", "bedrock-agentcore:InvokeCodeInterpreter", resource=INTERPRETER))],
    ),
    "a role that passes roles": ("no-pass-role", [(CLAIMS, grant("RunCodeRole", "iam:PassRole"))]),
    "no statement about roles of tenants": (
        "data-named-roles",
        [(STORAGE, without_statement("OnlyRolesOfTenants"))],
    ),
    "tags that are folders": ("records-session-function", [(STORAGE, without_statement("TagsWithoutSlash"))]),
    "a public folder": ("nothing-public", [(STORAGE, public_bucket)]),
}


def planted(source: Assembly, directory: Path, changes: list[tuple[str, Change]]) -> Path:
    """Copies a cloud assembly with changes of its templates."""
    shutil.copytree(source.directory, directory, ignore=shutil.ignore_patterns("asset.*"))
    for stack, change in changes:
        template = copy.deepcopy(source[stack].content)
        change(template)
        (directory / f"{stack}.template.json").write_text(json.dumps(template))
    return directory


@pytest.mark.parametrize(("expected", "changes"), PLANTED.values(), ids=PLANTED)
def test_planted_grant_refutes_its_property_with_a_request(
    assemblies: dict[str, Assembly], tmp_path: Path, expected: str, changes: list[tuple[str, Change]]
) -> None:
    model = load_model([Target(planted(assemblies["prod"], tmp_path / "cdk.out", changes), "cdk.out")])
    (proved,) = prove_properties(model, [one for one in PROPERTIES if one.id == expected])
    assert proved.of_outcome(ProofOutcome.REFUTED), [one.proof for one in proved.answers]


def test_refuted_property_is_a_finding_with_the_request(assemblies: dict[str, Assembly], tmp_path: Path) -> None:
    changes = [(CLAIMS, grant("RunCodeRole", "iam:PassRole"))]
    found = review([Target(planted(assemblies["prod"], tmp_path / "cdk.out", changes), "cdk.out")]).findings
    (finding,) = [one for one in found if one.rule_id == "proof-no-pass-role"]
    assert finding.severity.word == "high"
    assert any("iam:PassRole" in line for line in finding.evidence)
    assert finding.location.file.endswith(f"{CLAIMS}.template.json")


def test_attached_policy_outside_of_the_templates_makes_claims_about_its_role_undecided(
    assemblies: dict[str, Assembly], tmp_path: Path
) -> None:
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"

    def attach(template: dict[str, Any]) -> None:
        role(template, "ExecutionRole")["ManagedPolicyArns"] = [administrator]

    directory = planted(assemblies["prod"], tmp_path / "cdk.out", [(CLAIMS, attach)])
    proofs = proofs_of(directory)
    for id_ in ("writes-own-folder", "data-own-tenant", "data-own-run", "no-pass-role", "callers-own-interpreters"):
        (undecided,) = proofs[id_].of_outcome(ProofOutcome.UNDECIDED)
        assert administrator in undecided.proof.reason
