"""Converts properties of `AWS::S3::Bucket` to the members of S3's operations, which have other names.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Property = Mapping[str, Any]

FILTERS = ("Prefix", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
"""Members of a lifecycle rule that select objects."""
EXPIRATION = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
TRANSITION = {"TransitionInDays": "Days", "TransitionDate": "Date", "StorageClass": "StorageClass"}
NONCURRENT_TRANSITION = {
    "TransitionInDays": "NoncurrentDays",
    "NewerNoncurrentVersions": "NewerNoncurrentVersions",
    "StorageClass": "StorageClass",
}
UNCHANGED = ("Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration")
RULE_MEMBERS = {"Id", *FILTERS, *EXPIRATION, *UNCHANGED, "Transitions", "NoncurrentVersionTransitions"}
"""Supported members of a lifecycle rule. Members that AWS has deprecated are missing."""


def encryption(value: Property) -> dict[str, Any]:
    """Converts `BucketEncryption`."""
    rules = [
        {
            **_renamed(rule, {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}),
            "BucketKeyEnabled": str(rule.get("BucketKeyEnabled", False)).lower() == "true",
        }
        for rule in value["ServerSideEncryptionConfiguration"]
    ]
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def lifecycle(value: Property) -> dict[str, Any]:
    """Converts `LifecycleConfiguration`. Raises ValueError for a rule with unsupported members."""
    return {"LifecycleConfiguration": {"Rules": [_rule(rule) for rule in value["Rules"]]}}


def logging(value: Property) -> dict[str, Any]:
    """Converts `LoggingConfiguration`. An empty value turns logging off."""
    enabled = {
        "TargetBucket": value.get("DestinationBucketName"),
        "TargetPrefix": value.get("LogFilePrefix", ""),
        **_renamed(value, {"TargetObjectKeyFormat": "TargetObjectKeyFormat"}),
    }
    return {"BucketLoggingStatus": {"LoggingEnabled": enabled} if value else {}}


def ownership(value: Property) -> dict[str, Any]:
    """Converts `OwnershipControls`."""
    return {"OwnershipControls": value}


def tags(value: list[Property]) -> dict[str, Any]:
    """Converts `Tags`."""
    return {"Tagging": {"TagSet": value}}


def versioning(value: Property) -> dict[str, Any]:
    """Converts `VersioningConfiguration`."""
    return {"VersioningConfiguration": {"Status": value["Status"]}}


def _rule(value: Property) -> dict[str, Any]:
    if unknown := value.keys() - RULE_MEMBERS:
        raise ValueError(
            f"LifecycleConfiguration: {sorted(unknown)} of a rule is not supported; allowed: {sorted(RULE_MEMBERS)}"
        )
    rule = {name: value[name] for name in UNCHANGED if name in value}
    if "Id" in value:
        rule["ID"] = value["Id"]
    if expiration := _renamed(value, EXPIRATION):
        rule["Expiration"] = expiration
    for name, names in (("Transitions", TRANSITION), ("NoncurrentVersionTransitions", NONCURRENT_TRANSITION)):
        if name in value:
            rule[name] = [_renamed(each, names) for each in value[name]]
    return rule | {"Filter": _filter({name: value[name] for name in FILTERS if name in value})}


def _filter(conditions: Property) -> dict[str, Any]:
    """Returns the filter of a rule: one condition alone, several as `And`, and none as every object."""
    tag_filters = conditions.get("TagFilters", [])
    others = {name: value for name, value in conditions.items() if name != "TagFilters"}
    if len(others) + len(tag_filters) > 1:
        return {"And": {**others, "Tags": tag_filters}}
    return {"Tag": tag_filters[0]} if tag_filters else others or {"Prefix": ""}


def _renamed(value: Property, names: Mapping[str, str]) -> dict[str, Any]:
    """Returns the members in `names` that are present, by their new names."""
    return {new_name: value[name] for name, new_name in names.items() if name in value}
