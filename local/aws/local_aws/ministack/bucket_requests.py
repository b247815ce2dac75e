"""Properties of `AWS::S3::Bucket` as members of S3's operations, which have other names for the same.

https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-s3-bucket.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    Given = Mapping[str, Any]

CONDITIONS = ("Prefix", "TagFilters", "ObjectSizeGreaterThan", "ObjectSizeLessThan")
"""What of a lifecycle rule says of which objects it is."""
EXPIRATION = {
    "ExpirationInDays": "Days",
    "ExpirationDate": "Date",
    "ExpiredObjectDeleteMarker": "ExpiredObjectDeleteMarker",
}
TRANSITION = {"TransitionInDays": "Days", "TransitionDate": "Date", "StorageClass": "StorageClass"}
OLD_TRANSITION = {
    "TransitionInDays": "NoncurrentDays",
    "NewerNoncurrentVersions": "NewerNoncurrentVersions",
    "StorageClass": "StorageClass",
}
SAME = ("Status", "AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration")
RULE = {"Id", *CONDITIONS, *EXPIRATION, *SAME, "Transitions", "NoncurrentVersionTransitions"}
"""All of a lifecycle rule that can be put. What it lacks are names that AWS has replaced."""


def encryption(given: Given) -> dict[str, Any]:
    """`BucketEncryption`."""
    rules = [
        {
            **_renamed(rule, {"ServerSideEncryptionByDefault": "ApplyServerSideEncryptionByDefault"}),
            "BucketKeyEnabled": str(rule.get("BucketKeyEnabled", False)).lower() == "true",
        }
        for rule in given["ServerSideEncryptionConfiguration"]
    ]
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}


def lifecycle(given: Given) -> dict[str, Any]:
    """`LifecycleConfiguration`. Raises ValueError for a rule that says what is not put here."""
    return {"LifecycleConfiguration": {"Rules": [_rule(rule) for rule in given["Rules"]]}}


def logging(given: Given) -> dict[str, Any]:
    """`LoggingConfiguration`; an empty one turns it off."""
    enabled = {
        "TargetBucket": given.get("DestinationBucketName"),
        "TargetPrefix": given.get("LogFilePrefix", ""),
        **_renamed(given, {"TargetObjectKeyFormat": "TargetObjectKeyFormat"}),
    }
    return {"BucketLoggingStatus": {"LoggingEnabled": enabled} if given else {}}


def ownership(given: Given) -> dict[str, Any]:
    """`OwnershipControls`."""
    return {"OwnershipControls": given}


def tags(given: list[Given]) -> dict[str, Any]:
    """`Tags`."""
    return {"Tagging": {"TagSet": given}}


def versioning(given: Given) -> dict[str, Any]:
    """`VersioningConfiguration`."""
    return {"VersioningConfiguration": {"Status": given["Status"]}}


def _rule(given: Given) -> dict[str, Any]:
    if unknown := given.keys() - RULE:
        raise ValueError(f"LifecycleConfiguration: {sorted(unknown)} of a rule is not supported; use {sorted(RULE)}")
    made = {name: given[name] for name in SAME if name in given}
    if "Id" in given:
        made["ID"] = given["Id"]
    if expiration := _renamed(given, EXPIRATION):
        made["Expiration"] = expiration
    for name, names in (("Transitions", TRANSITION), ("NoncurrentVersionTransitions", OLD_TRANSITION)):
        if name in given:
            made[name] = [_renamed(each, names) for each in given[name]]
    return made | {"Filter": _filter({name: given[name] for name in CONDITIONS if name in given})}


def _filter(conditions: Given) -> dict[str, Any]:
    """One condition as it is, several as `And`, none as every object."""
    tag_filters = conditions.get("TagFilters", [])
    others = {name: value for name, value in conditions.items() if name != "TagFilters"}
    if len(others) + len(tag_filters) > 1:
        return {"And": {**others, "Tags": tag_filters}}
    return {"Tag": tag_filters[0]} if tag_filters else others or {"Prefix": ""}


def _renamed(given: Given, names: Mapping[str, str]) -> dict[str, Any]:
    """What of the names is given, by its other name."""
    return {other: given[name] for name, other in names.items() if name in given}
