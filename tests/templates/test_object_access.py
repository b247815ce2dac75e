"""The policy of the data bucket denies objects of a tenant to everyone except its roles and the named roles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sandpiper.environment import Environment
from sandpiper.environment.checks import check
from sandpiper.environment.object_access import bucket_policy_size
from sandpiper.names import data_bucket_name
from sandpiper_contract.bucket_policy import MAX_BUCKET_POLICY_BYTES
from sandpiper_policy.document import Policy, PolicyKind, parse_policy
from sandpiper_policy.evaluate import Policies, Request, evaluate
from sandpiper_policy.principals import Principal
from tests.support.account import REGION
from tests.support.assemblies import new_app, read_assembly, synthesize
from tests.support.policy_documents import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandpiper.environment.errors import ConfigIssue
    from tests.support.assemblies import Assembly

    Tags = Mapping[str, str]

ACCOUNT, OTHER_ACCOUNT = "111122223333", "444455556666"
BUCKET = data_bucket_name("one", ACCOUNT, REGION)
ARN = f"arn:aws:s3:::{BUCKET}"
EXISTING = f"arn:aws:iam::{ACCOUNT}:role/existing"
OPTIONS: dict[str, Any] = {
    "account": ACCOUNT,
    "readers": (f"arn:aws:iam::{ACCOUNT}:role/audit/reader",),
    "writers": (f"arn:aws:iam::{ACCOUNT}:role/author",),
    "administrators": (
        f"arn:aws:iam::{ACCOUNT}:role/break-glass",
        f"arn:aws:iam::{ACCOUNT}:role/sandpiper-one-admin",  # the start of the names of tenants' roles
    ),
    "tenants": {
        "claims": {"interpreters": {"one": {"read": (f"s3://{BUCKET}/shared/",)}}},
        "claims-2": {"interpreters": {"one": {"execution_role": EXISTING}}},
    },
}
ALLOW_ALL = parse_policy(
    "administrator access",
    PolicyKind.IDENTITY,
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}},
)
READ, WRITE = "s3:GetObject", "s3:PutObject"
READS = (READ, "s3:GetObjectVersion", "s3:GetObjectTagging", "s3:GetObjectAcl", "s3:GetObjectAttributes")
WRITES = (
    *(WRITE, "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
    *("s3:PutObjectAcl", "s3:PutObjectRetention", "s3:AbortMultipartUpload", "s3:RestoreObject"),
    *("s3:BypassGovernanceRetention", "s3:ReplicateObject", "s3:ObjectOwnerOverrideToBucketOwner"),
)
INPUT = "tenants/claims/inputs/a.csv"
OUTPUT = "tenants/claims/runs/report/e1/S/files/a.png"
RECORD = "tenants/claims/runs/report/e1/S/claim.json"
OWN_FILE = "tenants/claims/sandbox/one/runs/a.csv"
KEYS = (INPUT, OUTPUT, RECORD, OWN_FILE)
CLAIMS = {"sandpiper:environment": "one", "sandpiper:tenant": "claims"}
CLAIMS_2 = {"sandpiper:environment": "one", "sandpiper:tenant": "claims-2"}


@pytest.fixture(scope="module")
def assembly(in_the_repository: None, tmp_path_factory: pytest.TempPathFactory) -> Assembly:  # noqa: ARG001
    return synthesize(tmp_path_factory.mktemp("one"), OPTIONS)


@pytest.fixture(scope="module")
def policy(assembly: Assembly) -> Policy:
    """The policy of the data bucket."""
    documents = [
        resolved(each["PolicyDocument"], ARN)
        for each in assembly["sandpiper-one-storage"].resources("AWS::S3::BucketPolicy").values()
    ]
    (document,) = (each for each in documents if "OnlyTheirOwnTenant" in json.dumps(each))
    return parse_policy("the bucket policy", PolicyKind.RESOURCE, document)


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def is_allowed(
    policy: Policy, arn: str, action: str, key: str, tags: Tags | None = None, **context: str | None
) -> bool:
    """Returns whether the policy allows an action to a principal whose own policies allow everything."""
    principal = Principal.parse(arn)
    name = arn.rpartition("/")[2]
    if ":role/" in arn:
        principal = Principal.parse(f"arn:aws:sts::{arn.split(':')[4]}:assumed-role/{name}/session")
    keys = {
        "aws:SecureTransport": "true",
        "s3:TlsVersion": "1.3",
        "aws:PrincipalArn": arn if arn.startswith("arn:") else None,
        **{f"aws:PrincipalTag/{tag}": value for tag, value in (tags or {}).items()},
        **{key.replace("__", ":"): value for key, value in context.items()},
    }
    resource = f"arn:aws:s3:::{BUCKET}/{key}" if key else f"arn:aws:s3:::{BUCKET}"
    present = {key: value for key, value in keys.items() if value is not None}
    request = Request(principal, action, resource, ACCOUNT, present)
    return evaluate(request, Policies([ALLOW_ALL], resource=policy)).allowed


def accessible(policy: Policy, arn: str, tags: Tags | None = None) -> set[tuple[str, str]]:
    return {
        (action, key)
        for action in (*READS, *WRITES)
        for key in (*KEYS, OWN_FILE.replace("/one/", "/two/"))
        if is_allowed(policy, arn, action, key, tags)
    }


SESSION_FUNCTION = role("sandpiper-one-claims-SessionFunctionRole1A2B3C4D-ABCDEFGHIJKL")
EXECUTION = role("sandpiper-one-claims-InterpreteroneExecutionRole0a-ABCDEFGHIJKL")
STRANGERS: dict[str, tuple[str, Tags]] = {
    "administrator": (role("Administrator"), {}),
    "administrator with the tags of a tenant": (role("Administrator"), CLAIMS),
    "role of IAM Identity Center": (
        role("aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_PowerUser_0123456789abcdef"),
        {},
    ),
    "user": (f"arn:aws:iam::{ACCOUNT}:user/alice", {}),
    "user with the tags of a tenant": (f"arn:aws:iam::{ACCOUNT}:user/alice", CLAIMS),
    "account root": (f"arn:aws:iam::{ACCOUNT}:root", {}),
    "role of the CDK": (role(f"cdk-hnb659fds-cfn-exec-role-{ACCOUNT}-{REGION}"), {}),
    "AWS service": ("cloudtrail.amazonaws.com", {}),
    "session function of another tenant": (
        role("sandpiper-one-claims-2-SessionFunctionRole1A2B3C4D-ABCDEFGHIJKL"),
        CLAIMS_2,
    ),
    "execution role of another tenant": (role("sandpiper-one-claims-2-InterpreteroneExecutionRole0a-AB"), CLAIMS_2),
    "existing execution role of another tenant": (EXISTING, {}),
    "session function of another environment": (
        role("sandpiper-two-claims-SessionFunctionRole1A2B3C4D-ABCDEFGHIJKL"),
        {**CLAIMS, "sandpiper:environment": "two"},
    ),
    "role with the name of a tenant and no tags": (SESSION_FUNCTION, {}),
    "role with the name of a reader in another path": (role("reader"), {}),
    "role of another account": (f"arn:aws:iam::{OTHER_ACCOUNT}:role/break-glass", CLAIMS),
}


@pytest.mark.parametrize("stranger", STRANGERS)
def test_objects_of_a_tenant_are_denied_to_other_principals(policy: Policy, stranger: str) -> None:
    assert accessible(policy, *STRANGERS[stranger]) == set()


def test_session_function_has_access_to_its_tenant(policy: Policy) -> None:
    assert {key for action, key in accessible(policy, SESSION_FUNCTION, CLAIMS) if action == WRITE} >= set(KEYS)
    assert {key for action, key in accessible(policy, SESSION_FUNCTION, CLAIMS) if action == READ} >= set(KEYS)


def test_code_has_access_to_sandbox_folders_only_with_any_file_name(policy: Policy) -> None:
    assert {key for _, key in accessible(policy, EXECUTION, CLAIMS)} == {
        OWN_FILE,
        "tenants/claims/sandbox/two/runs/a.csv",
    }
    assert is_allowed(policy, EXECUTION, WRITE, "tenants/claims/sandbox/one/runs/claim.json", CLAIMS)
    own = "tenants/claims-2/sandbox/one"
    assert is_allowed(policy, EXISTING, WRITE, f"{own}/runs/a.csv")
    assert not is_allowed(policy, EXISTING, READ, "tenants/claims-2/sandbox/two/a.csv")
    assert not is_allowed(policy, EXISTING, READ, "tenants/claims-2/runs/a")


WORKFLOW_READER = role("sandpiper-one-claims-ReadersruncodeRole1A2B3C4D-ABCDEFGHIJKL")
READER_TAG = {"sandpiper:component": "workflow-reader"}


def test_reader_of_a_workflow_reads_runs_of_its_tenant_only(policy: Policy) -> None:
    found = accessible(policy, WORKFLOW_READER, CLAIMS | READER_TAG)
    assert found == {(action, key) for action in READS for key in (OUTPUT, RECORD)}
    assert not is_allowed(policy, WORKFLOW_READER, READ, "shared/rates.csv", CLAIMS | READER_TAG)
    assert accessible(policy, WORKFLOW_READER, CLAIMS_2 | READER_TAG) == set()
    assert OUTPUT not in {key for _, key in accessible(policy, WORKFLOW_READER, CLAIMS)}, "the tag is necessary"
    for stranger in ("administrator with the tags of a tenant", "session function of another environment"):
        arn, tags = STRANGERS[stranger]
        assert accessible(policy, arn, {**tags, **READER_TAG}) == set(), "the tag alone is not enough"
    assert not {key for action, key in accessible(policy, SESSION_FUNCTION, CLAIMS | READER_TAG) if action == WRITE}


BATCH_WORKFLOW = role("sandpiper-one-claims-RunBatchRole1A2B3C4D-ABCDEFGHIJKL")
BATCH_TAG = {"sandpiper:component": "batch-workflow"}


def test_workflow_of_batches_reads_only_their_items(policy: Policy) -> None:
    items = "tenants/claims/runs/sandpiper-one-claims-run-batch/nightly-1/items.jsonl"
    assert is_allowed(policy, BATCH_WORKFLOW, READ, items, CLAIMS | BATCH_TAG)
    assert not is_allowed(policy, BATCH_WORKFLOW, WRITE, items, CLAIMS | BATCH_TAG)
    assert accessible(policy, BATCH_WORKFLOW, CLAIMS | BATCH_TAG) == set()
    assert not is_allowed(policy, BATCH_WORKFLOW, READ, items, CLAIMS_2 | BATCH_TAG)
    assert not is_allowed(policy, BATCH_WORKFLOW, READ, items, CLAIMS), "the tag is necessary"
    for stranger in ("administrator with the tags of a tenant", "session function of another environment"):
        arn, tags = STRANGERS[stranger]
        assert not is_allowed(policy, arn, READ, items, {**tags, **BATCH_TAG}), "the tag alone is not enough"


@pytest.mark.parametrize("arn", [EXECUTION, SESSION_FUNCTION])
def test_tag_that_is_a_folder_of_another_tenant_has_no_access(policy: Policy, arn: str) -> None:
    for folder in ("claims/runs", "claims/runs/report", "claims/sandbox/one"):
        assert accessible(policy, arn, CLAIMS | {"sandpiper:tenant": folder}) == set()


def test_named_roles_have_access_to_all_tenants_and_never_write_records(policy: Policy) -> None:
    reads = {(action, key) for action in READS for key in (*KEYS, OWN_FILE.replace("/one/", "/two/"))}
    writes = {(action, key) for action in WRITES for _, key in reads}
    records = {(action, RECORD) for action in WRITES}
    inputs = {(action, INPUT) for action in WRITES}
    assert accessible(policy, OPTIONS["readers"][0]) == reads
    assert accessible(policy, OPTIONS["writers"][0]) == reads | inputs
    # A tag that a role gives itself changes nothing.
    tags = {**CLAIMS, "sandpiper:component": "session-function"}
    for administrator in OPTIONS["administrators"]:
        assert accessible(policy, administrator) == (reads | writes) - records
        assert not is_allowed(policy, administrator, WRITE, RECORD, tags)


def test_bucket_can_be_administered_by_all_whose_own_policies_allow_it(policy: Policy) -> None:
    for arn, tags in (*STRANGERS.values(), (OPTIONS["readers"][0], {}), (SESSION_FUNCTION, CLAIMS)):
        if arn.startswith("arn:") and OTHER_ACCOUNT not in arn:
            for action in ("PutBucketPolicy", "DeleteBucketPolicy", "GetBucketPolicy", "PutLifecycleConfiguration"):
                assert is_allowed(policy, arn, f"s3:{action}", "", tags), (arn, action)


def test_objects_outside_of_tenants_are_not_limited_further(policy: Policy) -> None:
    assert is_allowed(policy, role("Administrator"), WRITE, "shared/rates.csv")
    assert is_allowed(policy, EXECUTION, READ, "shared/rates.csv", CLAIMS)
    assert not is_allowed(policy, EXECUTION, READ, "other/rates.csv", CLAIMS)


def test_old_tls_and_customer_provided_keys_are_denied(policy: Policy) -> None:
    algorithm = {"s3__x-amz-server-side-encryption-customer-algorithm": "AES256"}
    assert is_allowed(policy, SESSION_FUNCTION, WRITE, OUTPUT, CLAIMS)
    assert not is_allowed(policy, SESSION_FUNCTION, WRITE, OUTPUT, CLAIMS, **algorithm)
    for version, allowed in (("1.0", False), ("1.1", False), ("1.2", True), ("1.3", True)):
        assert is_allowed(policy, SESSION_FUNCTION, WRITE, OUTPUT, CLAIMS, s3__TlsVersion=version) is allowed
    assert not is_allowed(policy, SESSION_FUNCTION, WRITE, OUTPUT, CLAIMS, aws__SecureTransport="false")


def test_roles_of_tenants_have_the_names_and_tags_that_the_policy_expects(assembly: Assembly) -> None:
    roles = assembly["sandpiper-one-claims"].resources("AWS::IAM::Role")
    session_functions = [name for name in roles if name.startswith("SessionFunctionRole")]
    assert len(session_functions) == 1
    for each in roles.values():
        assert "RoleName" not in each  # CloudFormation's name begins with the stack's
        tags = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
        assert (tags["sandpiper:environment"], tags["sandpiper:tenant"]) == ("one", "claims")


def environment_of(**options: Any) -> Environment:
    values = {"name": "one", "account": ACCOUNT, "region": REGION, "owner": "tests", **options}
    return Environment.model_validate(values)


def written_size(directory: Path, environment: Environment) -> int:
    """Returns the bytes of the data bucket's policy in the template of the storage stack."""
    from stacks.storage import StorageStack

    app = new_app(directory)
    StorageStack(app, environment=environment)
    app.synth()
    policies = read_assembly(directory)["sandpiper-one-storage"].resources("AWS::S3::BucketPolicy").values()
    return max(len(json.dumps(resolved(each["PolicyDocument"], ARN), separators=(",", ":"))) for each in policies)


@pytest.mark.parametrize("tenants", [1, 100, 500])
def test_policy_has_the_same_size_for_any_number_of_tenants(
    in_the_repository: None,  # noqa: ARG001
    tmp_path: Path,
    tenants: int,
) -> None:
    environment = environment_of(
        tenants={f"tenant-{number}": {"interpreters": {"one": {}}} for number in range(tenants)}
    )
    assert 2_000 < written_size(tmp_path, environment) <= bucket_policy_size(environment) < 4_352


def named_roles(count: int, length: int) -> dict[str, tuple[str, ...]]:
    """Returns the options that name a number of roles, whose ARNs have a length."""
    arns = [f"arn:aws:iam::{ACCOUNT}:role/".ljust(length - 4, "a") + f"/{number:03}" for number in range(count)]
    return {option: tuple(arns[index::3]) for index, option in enumerate(("readers", "writers", "administrators"))}


def with_existing_roles(count: int, length: int) -> dict[str, Any]:
    """Returns the option of tenants, with a number of existing execution roles, whose ARNs have a length."""
    arns = [f"arn:aws:iam::{ACCOUNT}:role/".ljust(length - 4, "b") + f"/{number:03}" for number in range(count)]
    return {f"tenant-{number}": {"interpreters": {"one": {"execution_role": arn}}} for number, arn in enumerate(arns)}


def test_policy_that_fits_is_written_and_a_longer_one_is_an_issue(in_the_repository: None, tmp_path: Path) -> None:  # noqa: ARG001
    """The roles of IAM Identity Center have ARNs of about 125 characters."""

    def too_long(roles: int, existing: int) -> list[ConfigIssue]:
        environment = environment_of(**named_roles(roles, 125), tenants=with_existing_roles(existing, 125))
        return [issue for issue in check(environment) if "policy of the data bucket" in issue.problem]

    most = max(number for number in range(150) if not too_long(number, 1))
    fitting = environment_of(**named_roles(most, 125), tenants=with_existing_roles(1, 125))
    assert most >= 70
    assert MAX_BUCKET_POLICY_BYTES - 2_048 < written_size(tmp_path, fitting) <= MAX_BUCKET_POLICY_BYTES
    (issue,) = too_long(most + 1, 1)
    assert issue.allowed == "at most 20,480 bytes, which is S3's limit"


@pytest.mark.parametrize(("roles", "existing"), [(150, 0), (0, 50), (150, 50)])
def test_most_and_longest_names_are_an_issue_before_a_deployment(roles: int, existing: int) -> None:
    environment = environment_of(
        **named_roles(roles, 500), tenants=with_existing_roles(existing, 500) or {"a": {"interpreters": {"one": {}}}}
    )
    (issue,) = (each for each in check(environment) if "policy of the data bucket" in each.problem)
    assert f"names {roles} roles and {existing} existing execution roles" in issue.problem
    assert issue.remedy == "name fewer roles that more people assume, or use execution_role: own"
