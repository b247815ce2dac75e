"""Roles use the KMS key of the data bucket, new or existing, through S3 only. No stack exports it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import cdk_nag
import pytest
from aws_cdk import Validations

from sandpiper.environment import Environment, SandboxInterpreter, Tenant
from sandpiper.environment.storage import DataBucket
from stacks.environment_stacks import add_stacks
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import Assembly, new_app, read_assembly
from tests.support.policy_documents import documents, statements

if TYPE_CHECKING:
    from pathlib import Path

STORAGE, TENANT = "sandpiper-one-storage", "sandpiper-one-demo"
EXISTING = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
PARAMETER = "/sandpiper/one/data-key-arn"
S3_CONTEXT = "kms:EncryptionContext:aws:s3:arn"


def _synthesized(directory: Path, **data_bucket: Any) -> Assembly:
    environment = Environment(
        name="one",
        account=ACCOUNT,
        region=REGION,
        owner="tests",
        tenants={"demo": Tenant(interpreters={"sandbox": SandboxInterpreter()})},
        data_bucket=DataBucket(**data_bucket),
    )
    app = new_app(directory)
    add_stacks(app, environment)
    Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    return read_assembly(directory)


def _key_statements(assembly: Assembly) -> dict[str, list[dict[str, Any]]]:
    """Returns the statements of all roles on the use of the key through S3, by document."""
    found = {
        name: [one for one in statements(document) if S3_CONTEXT in one.get("Condition", {}).get("ArnLike", {})]
        for name, document in documents(assembly).items()
        if name.startswith(TENANT)
    }
    return {name: found_statements for name, found_statements in found.items() if found_statements}


def _encryption(assembly: Assembly) -> dict[str, dict[str, Any]]:
    return {
        bucket["BucketName"]: bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
        for bucket in assembly[STORAGE].resources("AWS::S3::Bucket").values()
    }


def test_own_key_is_rotated_and_retained(tmp_path: Path) -> None:
    storage = _synthesized(tmp_path, key="own")[STORAGE]
    assert storage.only("AWS::KMS::Key")["EnableKeyRotation"] is True
    (key,) = (each for each in storage.content["Resources"].values() if each["Type"] == "AWS::KMS::Key")
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_key_encrypts_data_but_not_access_logs(tmp_path: Path) -> None:
    data, logs = _encryption(_synthesized(tmp_path, key="own")).values()
    if data["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256":
        data, logs = logs, data
    assert data["BucketKeyEnabled"] is True
    assert data["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert logs == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_tenants_read_the_key_from_a_parameter_and_import_nothing(tmp_path: Path) -> None:
    assembly = _synthesized(tmp_path, key="own")
    assert assembly[STORAGE].only("AWS::SSM::Parameter")["Name"] == PARAMETER
    parameters = assembly[TENANT].content["Parameters"].values()
    assert PARAMETER in [each["Default"] for each in parameters]
    assert "Fn::ImportValue" not in json.dumps([each.content for each in assembly.templates.values()])


@pytest.mark.parametrize("key", ["own", EXISTING])
def test_roles_use_the_key_only_through_s3_and_for_their_bucket(tmp_path: Path, key: str) -> None:
    by_document = _key_statements(_synthesized(tmp_path, key=key))
    assert len(by_document) == 2, "one document for the session function and one for the interpreter"
    for statement in (each for found_statements in by_document.values() for each in found_statements):
        assert set(statement["Action"]) <= {"kms:Decrypt", "kms:GenerateDataKey"}
        (resource,) = statement["Resource"]
        assert resource == EXISTING if key != "own" else "Ref" in resource
        via = statement["Condition"]["StringEquals"]["kms:ViaService"]
        assert json.dumps(via).startswith('"s3.us-east-1') or "s3.us-east-1." in json.dumps(via)
        contexts = json.dumps(statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:s3:arn"])
        assert ":s3:::sandpiper-one-123456789012-us-east-1" in contexts
        assert ":s3:::*" not in contexts


@pytest.mark.parametrize("key", ["own", EXISTING])
def test_roles_use_the_key_only_for_folders_that_they_read_or_write(tmp_path: Path, key: str) -> None:
    assembly = _synthesized(tmp_path, key=key)
    for name, key_statements in _key_statements(assembly).items():
        all_statements = [*statements(documents(assembly)[name]), *key_statements]

        def objects(action: str, of: list[dict[str, Any]]) -> set[str]:
            listed = [statement for statement in of if action in statement["Action"]]
            contexts = [each["Condition"].get("ArnLike", {"": each["Resource"]}) for each in listed]
            return {arn for of_one in contexts for arns in of_one.values() for arn in arns if "/" in arn}

        assert objects("kms:Decrypt", key_statements) == objects("s3:GetObject", all_statements), name
        assert objects("kms:GenerateDataKey", key_statements) == objects("s3:PutObject", all_statements) != set(), name


def test_without_a_key_no_role_has_kms_permissions(tmp_path: Path) -> None:
    assert _key_statements(_synthesized(tmp_path)) == {}


def test_existing_bucket_is_used_without_a_storage_stack(tmp_path: Path) -> None:
    assembly = _synthesized(tmp_path, name="lake", key=EXISTING)
    assert set(assembly.templates) == {TENANT, "sandpiper-one-fleet"}
    (function,) = (
        each
        for each in assembly[TENANT].resources("AWS::Lambda::Function").values()
        if "SANDPIPER_BUCKET" in each["Environment"]["Variables"]
    )
    assert function["Environment"]["Variables"]["SANDPIPER_BUCKET"] == "lake"
    assert len(_key_statements(assembly)) == 2


def test_lifecycle_rules_match_the_retention_days(tmp_path: Path) -> None:
    days = {"runs": 20, "inputs": 30, "sandbox": 40, "old_versions": 50, "access_logs": 60}
    days |= {"removed_tenants": {"former": 70}}
    buckets = _synthesized(tmp_path, retention_days=days)[STORAGE].resources("AWS::S3::Bucket").values()
    rules = {
        rule.get("Prefix", rule["Id"]): rule for bucket in buckets for rule in bucket["LifecycleConfiguration"]["Rules"]
    }
    assert {name: rule["ExpirationInDays"] for name, rule in rules.items() if "ExpirationInDays" in rule} == {
        "tenants/demo/runs/": 20,
        "tenants/demo/inputs/": 30,
        "tenants/demo/sandbox/": 40,
        "tenants/former/": 70,
        "AccessLogs": 60,
    }
    assert rules["Leftovers"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 50}
