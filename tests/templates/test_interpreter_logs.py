"""Deliveries of the logs and spans of interpreters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk.assertions import Template

from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.interpreter_logs import LOG_GROUP_FOLDER, InterpreterLogs

if TYPE_CHECKING:
    from collections.abc import Sequence

SOURCE, DELIVERY = "AWS::Logs::DeliverySource", "AWS::Logs::Delivery"
DESTINATION, GROUP = "AWS::Logs::DeliveryDestination", "AWS::Logs::LogGroup"


def resources(*, interpreters: Sequence[str] = ("first", "second"), with_key: bool = False, **options: Any) -> Any:
    """Returns the resources of a stack with the deliveries of two interpreters, by type."""
    stack = cdk.Stack(cdk.App(), "Stack")
    found = {name: CodeInterpreter(stack, name, name_prefix=f"dev__claims__{name}") for name in interpreters}
    key: Any = kms.Key(stack, "Key") if with_key else None
    retention = logs.RetentionDays.ONE_WEEK
    arguments: Any = {"service": "sandpiper-dev-claims", "log_retention": retention, "key": key} | options
    InterpreterLogs(stack, "Logs", interpreters=found, **arguments)
    by_type: dict[str, list[Any]] = {}
    for resource in Template.from_stack(stack).to_json()["Resources"].values():
        by_type.setdefault(resource["Type"], []).append(resource)
    return by_type


def delivered(found: Any) -> set[tuple[str, str]]:
    """Returns the type of logs and the name of each source."""
    sources = [each["Properties"] for each in found.get(SOURCE, ())]
    return {(source["LogType"], source["Name"].rpartition("_")[0]) for source in sources}


def test_usage_and_traces_of_each_interpreter_are_delivered_by_default() -> None:
    found = resources()
    assert delivered(found) == {
        (log_type, f"dev__claims__{name}") for log_type in ("USAGE_LOGS", "TRACES") for name in ("first", "second")
    }
    assert len(found[DELIVERY]) == 4
    assert {each["Properties"]["DeliveryDestinationType"] for each in found[DESTINATION]} == {"CWL", "XRAY"}


def test_destination_of_traces_has_no_resource() -> None:
    (traces,) = [each for each in resources()[DESTINATION] if each["Properties"]["DeliveryDestinationType"] == "XRAY"]
    assert traces["Properties"] == {"Name": "sandpiper-dev-claims-traces", "DeliveryDestinationType": "XRAY"}


def test_code_and_output_are_logged_only_for_the_interpreters_that_are_named() -> None:
    found = resources(application_logs=["second"])
    assert {each for each in delivered(found) if each[0] == "APPLICATION_LOGS"} == {
        ("APPLICATION_LOGS", "dev__claims__second")
    }
    names = [json.dumps(each["Properties"]["LogGroupName"]) for each in found[GROUP]]
    types = [name.partition(f"{LOG_GROUP_FOLDER}sandpiper-dev-claims/")[2].partition("/")[0] for name in names]
    assert sorted(types) == ["APPLICATION_LOGS", "USAGE_LOGS"]


def test_log_groups_have_the_key_the_retention_and_the_removal_policy() -> None:
    found = resources(with_key=True, application_logs=["first"])
    assert {each["Properties"]["RetentionInDays"] for each in found[GROUP]} == {7}
    assert all("KmsKeyId" in each["Properties"] for each in found[GROUP])
    assert {each["DeletionPolicy"] for each in found[GROUP]} == {"RetainExceptOnCreate"}
    assert {each["DeletionPolicy"] for each in resources(retain_logs=False)[GROUP]} == {"Delete"}


def test_source_is_replaced_with_its_interpreter() -> None:
    """CloudFormation creates the new interpreter before it deletes the old one, whose source keeps its name."""
    (source, *_) = resources(interpreters=["first"])[SOURCE]
    assert len(source["Properties"]["Name"].rpartition("-")[0].rpartition("_")[2]) == 8, "the hash of the interpreter"


def test_nothing_is_created_without_logs() -> None:
    found = resources(usage=False, traces=False)
    assert not {SOURCE, DELIVERY, DESTINATION, GROUP} & found.keys()


def test_names_of_destinations_are_shortened_to_distinct_ones() -> None:
    start = "sandpiper-dev-"
    found = [
        destination["Properties"]["Name"]
        for service in (start + "x" * 60, start + "x" * 61)
        for destination in resources(service=service, application_logs=["first"])[DESTINATION]
    ]
    assert len({*found}) == len(found) == 6
    assert max(map(len, found)) == 60
    assert all(name.startswith(start) for name in found), "the deployment policy allows these names"


def test_unknown_interpreter_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"application_logs names \['third'\]; allowed: first \| second"):
        resources(application_logs=["third"])
