"""The check of the audit trail, for trails that CloudFormation or the organization created."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandpiper.audit.check import check_trail, existing_trail_problems
from sandpiper.environment import load
from sandpiper.errors import CliError
from sandpiper.plan.deployed import Account
from tests.support.account import ACCOUNT, REGION
from tests.support.cli import sandpiper
from tests.support.stacks import create, delete
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Generator

    from tests.support.environments import Environments

pytestmark = pytest.mark.skipif(ON_AWS, reason="creates trails")

EXISTING = "audit: {trail: organization}\ninterpreters:\n  run:\n"
ARN = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/organization"


def cloudtrail() -> Any:
    session: Any = boto3.Session()  # its type has no CloudTrail client
    return session.client("cloudtrail")


@pytest.fixture
def trail(bootstrapped: None) -> Generator[Any]:  # noqa: ARG001 - it starts the embedded AWS
    """Creates a trail without data events, which does not record yet. Yields the client of CloudTrail."""
    client = cloudtrail()
    client.create_trail(Name="organization", S3BucketName="logs-of-the-organization", IsMultiRegionTrail=True)
    yield client
    client.delete_trail(Name="organization")


def test_trail_that_does_not_exist_is_one_error_of_the_plan(environments: Environments) -> None:
    file = environments.write("traced", EXISTING)
    message = f"audit.trail: the trail organization does not exist in account {ACCOUNT}, {REGION}: correct the name"
    process = sandpiper("plan", "-e", file)
    assert (process.returncode, process.stdout, process.stderr.count("error: ")) == (1, "", 1)
    assert message in " ".join(process.stderr.split())
    with pytest.raises(CliError, match="does not exist"):
        existing_trail_problems(Account(boto3.Session(), None), load(file))


def test_printed_commands_make_an_existing_trail_record_the_environment(environments: Environments, trail: Any) -> None:
    account, environment = Account(boto3.Session(), None), load(environments.write("traced", EXISTING))
    stopped, unselected = existing_trail_problems(account, environment)
    assert stopped == (f"audit.trail: the trail {ARN} does not record: run `aws cloudtrail start-logging --name {ARN}`")
    trail.start_logging(Name=ARN)
    assert existing_trail_problems(account, environment) == (unselected,)
    assert "Objects of the data bucket, Interpreters of the environment, The interpreter that AWS manages" in unselected
    assert "which also replaces its basic selectors" in unselected
    other = {"Name": "Management", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
    trail.put_event_selectors(TrailName=ARN, AdvancedEventSelectors=[other])
    (unselected,) = existing_trail_problems(account, environment)
    (printed,) = re.findall(r"--advanced-event-selectors '(.+)'", unselected)
    assert json.loads(printed)[0] == other, "the command keeps the selectors of the trail"
    trail.put_event_selectors(TrailName=ARN, AdvancedEventSelectors=json.loads(printed))
    assert existing_trail_problems(account, environment) == ()


@pytest.mark.usefixtures("bootstrapped")
def test_trail_in_a_template_records_and_can_be_changed(environments: Environments) -> None:
    file = environments.write("traced", "audit: {trail: own}\ninterpreters:\n  run:\n")
    environments.synthesize(file)
    resources = environments.template(file, "sandpiper-traced-storage")["Resources"]
    (template,) = (each for each in resources.values() if each["Type"] == "AWS::CloudTrail::Trail")
    template["Properties"]["S3BucketName"] = "logs"
    del template["DependsOn"]
    account, environment = Account(boto3.Session(), None), load(file)
    missing = check_trail(account, environment)
    assert missing is not None
    assert not missing.exists
    stack, status = create({"Resources": {"Trail": template}})
    assert status == "CREATE_COMPLETE"
    recording = check_trail(account, environment)
    assert recording is not None
    assert recording.problems == ()
    client = cloudtrail()
    arn = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/sandpiper-traced-audit"
    (tags,) = client.list_tags(ResourceIdList=[arn])["ResourceTagList"]
    assert {"Key": "sandpiper:environment", "Value": "traced"} in tags.get("TagsList", [])
    client.stop_logging(Name=arn)
    stopped = check_trail(account, environment)
    assert stopped is not None
    assert stopped.problems == (f"the trail {arn} does not record: run `aws cloudtrail start-logging --name {arn}`",)
    assert delete(stack) == "DELETE_COMPLETE"
    assert client.list_trails()["Trails"] == []
