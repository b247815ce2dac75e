"""Reads a bucket's settings by S3 and compares them with the template."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from sandpiper.plan.data_changes import lifetimes
from sandpiper.plan.deployed import code_of
from sandpiper.status.comparison import Difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sandpiper.plan.deployed import Account
    from sandpiper.status.physical import PhysicalTemplate

PROPERTIES = (
    *("BucketEncryption", "BucketName", "LifecycleConfiguration", "PublicAccessBlockConfiguration"),
    "VersioningConfiguration",
)
NOT_THERE = ("404", "NoSuchBucket")
NOT_SET = ("NoSuchLifecycleConfiguration", "NoSuchPublicAccessBlockConfiguration")
S3_KEYS = "AES256"
"""What encrypts a bucket of which nothing is said:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html"""


def read(account: Account, template: PhysicalTemplate, logical_id: str) -> Iterator[Difference]:
    """What differs between a bucket's settings and its template."""
    s3, name = account.session.client("s3"), template.physical_ids[logical_id]
    try:
        s3.head_bucket(Bucket=name)
    except ClientError as error:
        if code_of(error) not in NOT_THERE:
            raise
        yield Difference.gone()
        return
    properties = template.plain_properties(template.resources[logical_id])
    status = s3.get_bucket_versioning(Bucket=name).get("Status")
    expected = properties.get("VersioningConfiguration", {}).get("Status")
    yield from Difference.between("VersioningConfiguration.Status", expected, status)
    blocked = _asked(lambda: s3.get_public_access_block(Bucket=name)).get("PublicAccessBlockConfiguration", {})
    for setting, value in properties.get("PublicAccessBlockConfiguration", {}).items():
        yield from Difference.between(f"PublicAccessBlockConfiguration.{setting}", value, blocked.get(setting, False))
    encrypted = cast("dict[str, Any]", s3.get_bucket_encryption(Bucket=name))["ServerSideEncryptionConfiguration"]
    yield from _encryption(properties.get("BucketEncryption", {}), encrypted["Rules"][0])
    yield from _lifetimes(properties, _asked(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name)))


def _encryption(given: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[Difference]:
    (expected,) = given.get("ServerSideEncryptionConfiguration", [{}])
    was, now = expected.get("ServerSideEncryptionByDefault", {}), found["ApplyServerSideEncryptionByDefault"]
    for name, before, after in (
        ("SSEAlgorithm", was.get("SSEAlgorithm", S3_KEYS), now["SSEAlgorithm"]),
        ("KMSMasterKeyID", was.get("KMSMasterKeyID"), now.get("KMSMasterKeyID")),
        ("BucketKeyEnabled", expected.get("BucketKeyEnabled", False), found.get("BucketKeyEnabled", False)),
    ):
        yield from Difference.between(f"BucketEncryption.{name}", before, after)


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
    for place in sorted({*was, *now}):
        folder, of_old_versions = place
        what = f"days of {'old versions' if of_old_versions else 'objects'} below {folder or '/'}"
        yield from Difference.between(what, was.get(place), now.get(place))


def _asked(ask: Callable[[], object]) -> dict[str, Any]:
    """What S3 answers; nothing where the setting was taken away."""
    try:
        return cast("dict[str, Any]", ask())
    except ClientError as error:
        if code_of(error) in NOT_SET:
            return {}
        raise
