"""Findings have a reason at their resource, in the environments and in any other app.

The other app has no feature flags, no account and another bucket name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aws_cdk as cdk
import cdk_nag
import pytest
from aws_cdk import aws_iam as iam

from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.data_bucket import DataBucket
from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.assemblies import Assembly


def _app(directory: Path) -> tuple[cdk.App, cdk.Stack]:
    app = cdk.App(outdir=str(directory), builtin_cloud_formation_validation=False)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    return app, cdk.Stack(app, "stack")


@pytest.mark.parametrize("environment", ["dev", "local", "prod"])
def test_synthesis_makes_no_lookups(assemblies: dict[str, Assembly], environment: str) -> None:
    assert "missing" not in assemblies[environment].manifest


def test_interpreter_with_a_bucket_of_the_same_stack_has_no_finding(tmp_path: Path) -> None:
    app, stack = _app(tmp_path)
    data = DataBucket(stack, "Data", name="existing-data")
    CodeInterpreter(stack, "One", name_prefix="one", folder=BucketFolder(bucket=data.bucket, path="code"))
    app.synth()


def test_wildcard_without_a_reason_fails(tmp_path: Path) -> None:
    app, stack = _app(tmp_path)
    role = iam.Role(stack, "Role", assumed_by=service_principal("lambda"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["*"]))
    with pytest.raises(Exception, match=r"ValidationFailed: .*\n.*\n.*AwsSolutions-IAM5\[Resource::\*\]"):
        app.synth()
