"""`AWS::CloudTrail::Trail`, which MiniStack's CloudFormation lacks. The trail exists in MiniStack's CloudTrail.

It can be described, started and stopped. No event is recorded and no log file is delivered.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ministack.services import cloudtrail

if TYPE_CHECKING:
    from collections.abc import Mapping

MINISTACK_VERSION = "1.5.33"
MEMBERS = {
    "S3BucketName": "S3BucketName",
    "S3KeyPrefix": "S3KeyPrefix",
    "SnsTopicName": "SnsTopicName",
    "IncludeGlobalServiceEvents": "IncludeGlobalServiceEvents",
    "IsMultiRegionTrail": "IsMultiRegionTrail",
    "EnableLogFileValidation": "EnableLogFileValidation",
    "KMSKeyId": "KmsKeyId",
    "IsOrganizationTrail": "IsOrganizationTrail",
}
"""Members of CreateTrail and UpdateTrail by property."""
SELECTORS = ("AdvancedEventSelectors", "EventSelectors")
NOT_FOUND = "TrailNotFoundException"


class Trail:
    """The handlers of the resource type."""

    create_only: tuple[str, ...] = ("TrailName",)

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        """Creates the trail, sets its event selectors and tags, and starts it."""
        name = properties.get("TrailName") or f"{stack_name}-{logical_id}"
        _call("CreateTrail", {"Name": name, **_members(properties)})
        return self._configure(name, {}, properties)

    def update(
        self,
        physical_id: str,
        before: dict[str, Any],
        after: dict[str, Any],
        stack_name: str,  # noqa: ARG002 - signature of ResourceType
    ) -> tuple[str, dict[str, str]]:
        """Changes the trail in place."""
        _call("UpdateTrail", {"Name": physical_id, **_members(after)})
        return self._configure(physical_id, before, after)

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:  # noqa: ARG002 - signature of ResourceType
        """Deletes the trail. Does nothing when it does not exist."""
        try:
            _call("DeleteTrail", {"Name": physical_id})
        except ValueError as error:
            if NOT_FOUND not in str(error):
                raise

    def _configure(self, name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        arn = _call("GetTrail", {"Name": name})["Trail"]["TrailARN"]
        for selectors in SELECTORS:
            if after.get(selectors):
                _call("PutEventSelectors", {"TrailName": name, selectors: after[selectors]})
        old, new = (_tags(properties) for properties in (before, after))
        removed = [{"Key": key} for key in old if key not in new]
        _call("RemoveTags", {"ResourceId": arn, "TagsList": removed})
        _call("AddTags", {"ResourceId": arn, "TagsList": [{"Key": key, "Value": new[key]} for key in new]})
        _call("StartLogging" if str(after.get("IsLogging")).lower() == "true" else "StopLogging", {"Name": name})
        return name, {"Arn": arn}


def _members(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {member: properties[name] for name, member in MEMBERS.items() if name in properties}


def _tags(properties: Mapping[str, Any]) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in properties.get("Tags", [])}


def _call(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Calls an operation of MiniStack's CloudTrail. Raises ValueError with the error of the service."""
    status, _, body = cloudtrail._DISPATCH[operation](request)
    response: dict[str, Any] = json.loads(body)
    if status != 200:
        raise ValueError(f"{response['__type']}: {response['message']}")
    return response
