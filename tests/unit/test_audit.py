"""The event selectors of an audit trail, and whether an existing trail covers them."""

from __future__ import annotations

from typing import Any

import pytest

from sandpiper.audit.coverage import missing_selectors
from sandpiper.environment import Environment
from sandpiper.environment.audit import event_selectors

BUCKET = "arn:aws:s3:::sandpiper-prod-111122223333-eu-west-1/"
INTERPRETERS = "arn:aws:bedrock-agentcore:eu-west-1:111122223333:code-interpreter-custom/prod__"
OBJECTS = "AWS::S3::Object"
CUSTOM, MANAGED = "AWS::BedrockAgentCore::CodeInterpreterCustom", "AWS::BedrockAgentCore::CodeInterpreter"
ENVIRONMENT = Environment.model_validate(
    {
        "name": "prod",
        "account": "111122223333",
        "region": "eu-west-1",
        "owner": "tests",
        "interpreters": {"run": {}},
    }
)


def selector(resource_type: str, *fields: dict[str, Any]) -> dict[str, Any]:
    category = {"Field": "eventCategory", "Equals": ["Data"]}
    return {"FieldSelectors": [category, {"Field": "resources.type", "Equals": [resource_type]}, *fields]}


def arn(**operators: list[str]) -> dict[str, Any]:
    return {"Field": "resources.ARN", **operators}


def test_selectors_are_limited_to_the_environment_where_a_resource_belongs_to_it() -> None:
    assert [each.to_json()["FieldSelectors"][1:] for each in event_selectors(ENVIRONMENT)] == [
        [{"Field": "resources.type", "Equals": [OBJECTS]}, arn(StartsWith=[BUCKET])],
        [{"Field": "resources.type", "Equals": [CUSTOM]}, arn(StartsWith=[INTERPRETERS])],
        [{"Field": "resources.type", "Equals": [MANAGED]}],
    ]


def test_selectors_of_an_existing_bucket_name_that_bucket() -> None:
    bucket = ENVIRONMENT.data_bucket.model_copy(update={"name": "lake"})
    objects, *_ = event_selectors(ENVIRONMENT.model_copy(update={"data_bucket": bucket}))
    assert objects.arn_prefix == "arn:aws:s3:::lake/"


def test_own_selectors_cover_the_environment() -> None:
    needed = event_selectors(ENVIRONMENT)
    assert missing_selectors(needed, {"AdvancedEventSelectors": [each.to_json() for each in needed]}) == ()
    assert missing_selectors(needed, {}) == needed


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ({"AdvancedEventSelectors": [selector(each) for each in (OBJECTS, CUSTOM, MANAGED)]}, set[str]()),
        (
            {"AdvancedEventSelectors": [selector(OBJECTS, arn(StartsWith=["arn:aws:s3:::sandpiper-"]))]},
            {CUSTOM, MANAGED},
        ),
        (
            {"AdvancedEventSelectors": [selector(OBJECTS, arn(StartsWith=["arn:aws:s3:::b/", BUCKET]))]},
            {CUSTOM, MANAGED},
        ),
        (
            {"AdvancedEventSelectors": [selector(OBJECTS, arn(StartsWith=[f"{BUCKET}tenants/"]))]},
            {OBJECTS, CUSTOM, MANAGED},
        ),
        ({"AdvancedEventSelectors": [selector(OBJECTS, arn(Equals=[BUCKET]))]}, {OBJECTS, CUSTOM, MANAGED}),
        ({"AdvancedEventSelectors": [selector(OBJECTS, arn(NotStartsWith=["arn:aws:s3:::b/"]))]}, {CUSTOM, MANAGED}),
        (
            {"AdvancedEventSelectors": [selector(OBJECTS, arn(NotStartsWith=[f"{BUCKET}tenants/a/"]))]},
            {OBJECTS, CUSTOM, MANAGED},
        ),
        (
            {"AdvancedEventSelectors": [selector(OBJECTS, arn(NotStartsWith=["arn:aws:s3:::sandpiper-"]))]},
            {OBJECTS, CUSTOM, MANAGED},
        ),
        (
            {"AdvancedEventSelectors": [selector(MANAGED, {"Field": "readOnly", "Equals": ["false"]})]},
            {OBJECTS, CUSTOM, MANAGED},
        ),
        (
            {
                "AdvancedEventSelectors": [
                    selector(CUSTOM, {"Field": "eventName", "NotEquals": ["InvokeCodeInterpreter"]})
                ]
            },
            {OBJECTS, CUSTOM, MANAGED},
        ),
        (
            {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}]},
            {OBJECTS, CUSTOM, MANAGED},
        ),
        (
            {
                "EventSelectors": [
                    {"ReadWriteType": "All", "DataResources": [{"Type": OBJECTS, "Values": ["arn:aws:s3"]}]}
                ]
            },
            {CUSTOM, MANAGED},
        ),
        (
            {"EventSelectors": [{"ReadWriteType": "All", "DataResources": [{"Type": OBJECTS, "Values": [BUCKET]}]}]},
            {CUSTOM, MANAGED},
        ),
        (
            {
                "EventSelectors": [
                    {"ReadWriteType": "WriteOnly", "DataResources": [{"Type": OBJECTS, "Values": [BUCKET]}]}
                ]
            },
            {OBJECTS, CUSTOM, MANAGED},
        ),
    ],
)
def test_missing_selectors_of_an_existing_trail(found: dict[str, Any], missing: set[str]) -> None:
    assert {each.resource_type for each in missing_selectors(event_selectors(ENVIRONMENT), found)} == missing
