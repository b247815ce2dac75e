"""A KMS key of the data: made here or one that exists, used by each role through S3 alone, exported by nobody."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import cdk_nag
import pytest
from aws_cdk import Validations

from sandpiper.environment import Environment, SandboxInterpreter, Tenant
from sandpiper.environment.storage import DataBucket
from stacks.environment_stacks import add_stacks
from tests.templates.conftest import ACCOUNT, REGION, Assembly, documents, in_words, new_app, read_assembly, statements

if TYPE_CHECKING:
    from pathlib import Path

STORAGE, TENANT = "sandpiper-one-storage", "sandpiper-one-demo"
EXISTING = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
PARAMETER = "/sandpiper/one/data-key-arn"


def _synthesised(directory: Path, **data_bucket: Any) -> Assembly:
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
    """By document, of all roles."""
    found = {
        name: [one for one in statements(document) if str(one["Action"][0]).startswith("kms:")]
        for name, document in documents(assembly).items()
        if name.startswith(TENANT)
    }
    return {name: some for name, some in found.items() if some}


def _encryption(assembly: Assembly) -> dict[str, dict[str, Any]]:
    return {
        bucket["BucketName"]: bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]
        for bucket in assembly[STORAGE].resources("AWS::S3::Bucket").values()
    }


def test_a_key_of_its_own_is_rotated_and_outlives_its_stack(tmp_path: Path) -> None:
    storage = _synthesised(tmp_path, key="own")[STORAGE]
    assert storage.only("AWS::KMS::Key")["EnableKeyRotation"] is True
    (key,) = (each for each in storage.content["Resources"].values() if each["Type"] == "AWS::KMS::Key")
    assert (key["DeletionPolicy"], key["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")


def test_data_is_encrypted_with_it_and_access_logs_are_not_since_s3_would_not_deliver_them(tmp_path: Path) -> None:
    data, logs = _encryption(_synthesised(tmp_path, key="own")).values()
    if data["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256":
        data, logs = logs, data
    assert data["BucketKeyEnabled"] is True
    assert data["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
    assert logs == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}


def test_tenants_know_the_key_by_a_parameter_and_import_nothing(tmp_path: Path) -> None:
    assembly = _synthesised(tmp_path, key="own")
    assert assembly[STORAGE].only("AWS::SSM::Parameter")["Name"] == PARAMETER
    parameters = assembly[TENANT].content["Parameters"].values()
    assert PARAMETER in [each["Default"] for each in parameters]
    assert "Fn::ImportValue" not in json.dumps([each.content for each in assembly.templates.values()])


@pytest.mark.parametrize("key", ["own", EXISTING])
def test_each_role_uses_the_key_for_its_bucket_through_s3_and_no_other_way(tmp_path: Path, key: str) -> None:
    by_document = _key_statements(_synthesised(tmp_path, key=key))
    assert len(by_document) == 2, "the session function's and the interpreter's"
    for statement in (each for some in by_document.values() for each in some):
        assert set(statement["Action"]) <= {"kms:Decrypt", "kms:GenerateDataKey"}
        (resource,) = statement["Resource"]
        assert resource == EXISTING if key != "own" else "Ref" in resource
        via = statement["Condition"]["StringEquals"]["kms:ViaService"]
        assert json.dumps(via).startswith('"s3.us-east-1') or "s3.us-east-1." in json.dumps(via)
        contexts = json.dumps(statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:s3:arn"])
        assert ":s3:::sandpiper-one-123456789012-us-east-1" in contexts
        assert ":s3:::*" not in contexts


@pytest.mark.parametrize("key", ["own", EXISTING])
def test_each_role_uses_the_key_for_the_folders_that_it_reads_and_writes_and_no_others(
    tmp_path: Path, key: str
) -> None:
    assembly = _synthesised(tmp_path, key=key)
    for name, of_key in _key_statements(assembly).items():
        may = [*statements(documents(assembly)[name]), *of_key]

        def objects(action: str, of: list[dict[str, Any]]) -> set[str]:
            listed = [statement for statement in of if action in statement["Action"]]
            contexts = [each["Condition"].get("ArnLike", {"": each["Resource"]}) for each in listed]
            return {arn for of_one in contexts for arns in of_one.values() for arn in arns if "/" in arn}

        assert objects("kms:Decrypt", of_key) == objects("s3:GetObject", may), name
        assert objects("kms:GenerateDataKey", of_key) == objects("s3:PutObject", may) != set(), name


def test_the_key_itself_is_used_through_s3_for_the_data_bucket_alone(tmp_path: Path) -> None:
    manage, use = statements(_synthesised(tmp_path, key="own")[STORAGE].only("AWS::KMS::Key")["KeyPolicy"])
    assert sorted(use["Action"]) == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert in_words(use["Condition"]["StringEquals"]["kms:ViaService"]) == "s3.us-east-1.<AWS::URLSuffix>"
    bucket = f"arn:aws:s3:::sandpiper-one-{ACCOUNT}-{REGION}"
    assert use["Condition"]["ArnLike"] == {"kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/*"]}
    # What would use it, hand its use on, or hide behind a wildcard.
    using = r"kms:(.*\*.*|.*Decrypt.*|.*Encrypt.*|.*Generate.*|CreateGrant|Sign|Verify|Derive.*)"
    assert not [action for action in manage["Action"] if re.fullmatch(using, action)]
    assert {"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"} <= set(manage["Action"]), "or nobody could manage it"
    for statement in (manage, use):
        assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_without_a_key_no_role_may_use_any(tmp_path: Path) -> None:
    assert _key_statements(_synthesised(tmp_path)) == {}


def test_a_bucket_that_exists_is_used_by_its_name_and_nothing_is_made_for_it(tmp_path: Path) -> None:
    assembly = _synthesised(tmp_path, name="lake", key=EXISTING)
    assert set(assembly.templates) == {TENANT, "sandpiper-one-fleet"}
    (function,) = (
        each
        for each in assembly[TENANT].resources("AWS::Lambda::Function").values()
        if "SANDPIPER_BUCKET" in each["Environment"]["Variables"]
    )
    assert function["Environment"]["Variables"]["SANDPIPER_BUCKET"] == "lake"
    assert len(_key_statements(assembly)) == 2


def test_each_folder_lives_as_long_as_the_environment_says(tmp_path: Path) -> None:
    days = {"runs": 20, "inputs": 30, "sandbox": 40, "old_versions": 50, "access_logs": 60}
    days |= {"removed_tenants": {"former": 70}}
    buckets = _synthesised(tmp_path, retention_days=days)[STORAGE].resources("AWS::S3::Bucket").values()
    rules = {
        rule.get("Prefix", rule["Id"]): rule for bucket in buckets for rule in bucket["LifecycleConfiguration"]["Rules"]
    }
    assert {name: rule["ExpirationInDays"] for name, rule in rules.items() if "ExpirationInDays" in rule} == {
        "tenants/demo/runs/": 20,
        "tenants/demo/inputs/": 30,
        "tenants/demo/sandbox/": 40,
        "tenants/demo/sandbox/sandbox/staging/": 1,
        "tenants/former/": 70,
        "AccessLogs": 60,
    }
    assert rules["Leftovers"]["NoncurrentVersionExpiration"] == {"NoncurrentDays": 50}
