"""In GovCloud and China, an environment contains no ARN of another partition."""

from __future__ import annotations

import datetime
import json
import re
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import cdk_nag
import pytest

from sandpiper.environment import Environment
from stacks.environment_stacks import add_stacks
from tests.support.assemblies import new_app, read_assembly
from tests.support.policy_documents import documents

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.assemblies import Assembly

PARTITIONS = {"us-gov-west-1": "aws-us-gov", "cn-north-1": "aws-cn"}
SERVICES = {"bedrock-agentcore", "lambda", "states", "logging.s3", "delivery.logs"}


def _options(region: str, partition: str) -> dict[str, Any]:
    """Returns an environment with all options that contain ARNs."""
    role = f"arn:{partition}:iam::444455556666:role/agent"
    return {
        "name": "elsewhere",
        "account": "111122223333",
        "region": region,
        "owner": "tests",
        "alarm_topic_arn": f"arn:{partition}:sns:{region}:111122223333:alarms",
        "permissions_boundary": f"arn:{partition}:iam::111122223333:policy/boundary",
        "data_bucket": {"key": "own"},
        "tenants": {
            "claims": {
                "interpreters": {
                    "one": {"read": ["s3://their-data/shared/"], "write": ["s3://their-data/ours/"]},
                    "two": {
                        "network": "PUBLIC",
                        "reason": "pip",
                        "owner": "tests",
                        "expires": datetime.date(2999, 6, 30),
                        "callers": [role],
                    },
                }
            }
        },
    }


@pytest.fixture(scope="module", params=PARTITIONS)
def other_partition(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Assembly, str, Path]:
    """Returns the environment in another partition, synthesized with cdk-nag."""
    region: str = request.param
    directory = tmp_path_factory.mktemp(region)
    app = new_app(directory)
    add_stacks(app, Environment.model_validate(_options(region, PARTITIONS[region])))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    return read_assembly(directory), PARTITIONS[region], directory


def test_every_arn_is_in_the_partition(other_partition: tuple[Assembly, str, Path]) -> None:
    assembly, partition, _ = other_partition
    literal = set[str]()
    for template in assembly.templates.values():
        literal |= set(re.findall(r"\barn:([a-z-]+):", json.dumps(template.content)))
    assert literal == {partition}


def test_trust_policies_use_the_service_principals_of_the_partition(
    other_partition: tuple[Assembly, str, Path],
) -> None:
    assembly, partition, _ = other_partition
    trusted = {
        statement["Principal"]["Service"]
        for document in documents(assembly).values()
        for statement in document["Statement"]
        if "Service" in statement.get("Principal", {})
    }
    logs = {"aws-us-gov": "logs.us-gov-west-1.amazonaws.com", "aws-cn": "logs.cn-north-1.amazonaws.com.cn"}[partition]
    assert trusted == {*(f"{name}.amazonaws.com" for name in SERVICES), logs}, partition


def test_region_with_the_service_has_no_warning(other_partition: tuple[Assembly, str, Path]) -> None:
    *_, directory = other_partition
    assert "was not known" not in (directory / "sandpiper-elsewhere-fleet.metadata.json").read_text()
