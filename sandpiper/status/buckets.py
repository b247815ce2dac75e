"""Compares the settings of a bucket with its template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from sandpiper.aws_errors import error_code
from sandpiper.plan.data_changes import lifetimes
from sandpiper.status.difference import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.plan.deployed import Account
    from sandpiper.status.physical_template import PhysicalTemplate

PROPERTIES = (
    *("BucketEncryption", "BucketName", "LifecycleConfiguration", "PublicAccessBlockConfiguration"),
    "VersioningConfiguration",
)
NOT_FOUND = ("404", "NoSuchBucket")
NOT_SET = ("NoSuchLifecycleConfiguration", "NoSuchPublicAccessBlockConfiguration")
DEFAULT_ALGORITHM = "AES256"
"""The encryption of a bucket without settings:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html"""


def compare(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """Yields the differences between a bucket and its template."""
    s3, name = account.session.client("s3"), template.physical_ids[logical_id]
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if error_code(error) not in NOT_FOUND:
            raise
        yield Difference.deleted()
        return
    properties = template.resolve_properties(template.resources[logical_id])
    status = s3.get_bucket_versioning(Bucket=name).get("Status")
    expected = properties.get("VersioningConfiguration", {}).get("Status")
    yield from Difference.compare_values("VersioningConfiguration.Status", expected, status)
    block = _read_setting(lambda: s3.get_public_access_block(Bucket=name)).get("PublicAccessBlockConfiguration", {})
    for setting, value in properties.get("PublicAccessBlockConfiguration", {}).items():
        path = f"PublicAccessBlockConfiguration.{setting}"
        yield from Difference.compare_values(path, value, block.get(setting, False))
    encryption = cast("dict[str, Any]", s3.get_bucket_encryption(Bucket=name))["ServerSideEncryptionConfiguration"]
    yield from _encryption(properties.get("BucketEncryption", {}), encryption["Rules"][0])
    yield from _lifetimes(properties, _read_setting(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name)))


def _encryption(expected: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    (rule,) = expected.get("ServerSideEncryptionConfiguration", [{}])
    was, now = rule.get("ServerSideEncryptionByDefault", {}), found["ApplyServerSideEncryptionByDefault"]
    for name, before, after in (
        ("SSEAlgorithm", was.get("SSEAlgorithm", DEFAULT_ALGORITHM), now["SSEAlgorithm"]),
        ("KMSMasterKeyID", was.get("KMSMasterKeyID"), now.get("KMSMasterKeyID")),
        ("BucketKeyEnabled", rule.get("BucketKeyEnabled", False), found.get("BucketKeyEnabled", False)),
    ):
        yield from Difference.compare_values(f"BucketEncryption.{name}", before, after)


def _lifetimes(properties: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    rules = [
        {
            "Status": rule["Status"],
            "Prefix": rule.get("Prefix") or rule.get("Filter", {}).get("Prefix", ""),
            "ExpirationInDays": rule.get("Expiration", {}).get("Days"),
            "NoncurrentVersionExpiration": rule.get("NoncurrentVersionExpiration", {}),
        }
        for rule in found.get("Rules", [])
    ]
    was, now = lifetimes(properties), lifetimes({"LifecycleConfiguration": {"Rules": rules}})
    for key in sorted({*was, *now}):
        folder, of_old_versions = key
        name = f"days of {'old versions' if of_old_versions else 'objects'} below {folder or '/'}"
        yield from Difference.compare_values(name, was.get(key), now.get(key))


def _read_setting(read: Callable[[], object]) -> dict[str, Any]:
    """Returns the response of S3, or an empty mapping when the setting does not exist."""
    try:
        return cast("dict[str, Any]", read())
    except ClientError as error:
        if error_code(error) in NOT_SET:
            return {}
        raise
