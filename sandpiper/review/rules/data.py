"""Rules about data: buckets and keys with the files of code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandpiper.plan.resource_types import BUCKET, KEY
from sandpiper.review.findings import Severity
from sandpiper.review.reading.values import as_list, as_mapping, as_text
from sandpiper.review.rule import Occurrence, Rule
from sandpiper.review.rules.queries import (
    at_statement,
    data_buckets,
    granted,
    names_everyone,
    other_accounts,
    required_values,
)
from sandpiper_policy.model.matching import pattern_matches
from sandpiper_policy.model.statements import PolicyUse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource
    from sandpiper_policy.model.statements import PolicyStatement

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_PRINCIPAL_LIMITS = (
    *("aws:PrincipalAccount", "aws:PrincipalArn", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:SourceAccount"),
    *("aws:SourceArn", "aws:SourceVpc", "aws:SourceVpce", "aws:SourceOrgID", "kms:CallerAccount", "aws:userid"),
)
_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/"
_KMS = "https://docs.aws.amazon.com/kms/latest/developerguide/"


def _denies(model: ReviewModel, bucket: Resource) -> Iterator[PolicyStatement]:
    """Yields the statements of a bucket's policy that deny something to everyone."""
    for policy in model.policies.resource_policies.get(bucket.address, ()):
        for one in policy.statements:
            if not one.allows and one.is_certain and names_everyone(one):
                yield one


def _is_private(model: ReviewModel) -> Iterator[Occurrence]:
    for bucket in model.of_type(BUCKET):
        settings = as_mapping(bucket.get("PublicAccessBlockConfiguration"))
        off = [name for name in _BLOCKS if as_text(settings.get(name)).lower() != "true"]
        if off:
            yield Occurrence(
                bucket.at("PublicAccessBlockConfiguration"),
                f"the bucket can be public: {', '.join(off)} is not set",
            )


_OR_MISSING = "numericlessthanifexists"


def _requires_tls(model: ReviewModel) -> Iterator[Occurrence]:
    for bucket in model.of_type(BUCKET):
        denies = [one for one in _denies(model, bucket) if pattern_matches("s3:*", one.syntax.action.values[0])]
        versions, also_plain = (
            [value for one in denies for value in required_values(one, "s3:TlsVersion", operators=operators)]
            for operators in (("numericlessthan", _OR_MISSING), (_OR_MISSING,))
        )
        # A request without TLS has no version of TLS. Only an operator with IfExists denies it, too.
        plain = any(_number(value) >= 1.2 for value in also_plain) or any(
            "false" in required_values(one, "aws:SecureTransport", operators=("bool", "boolifexists")) for one in denies
        )
        missing = [] if plain else ["requests without TLS"]
        missing += [] if any(_number(value) >= 1.2 for value in versions) else ["TLS versions before 1.2"]
        if missing:
            yield Occurrence(bucket.location, f"no statement of the bucket's policy denies {' and '.join(missing)}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _is_encrypted(model: ReviewModel) -> Iterator[Occurrence]:
    for bucket in model.of_type(BUCKET):
        if not bucket.get("BucketEncryption", "ServerSideEncryptionConfiguration"):
            yield Occurrence(bucket.at("BucketEncryption"), "the bucket does not state how objects are encrypted")


def _keeps_versions(model: ReviewModel) -> Iterator[Occurrence]:
    for bucket in model.of_type(BUCKET):
        if as_text(bucket.get("VersioningConfiguration", "Status")) != "Enabled":
            yield Occurrence(
                bucket.at("VersioningConfiguration"), "the bucket keeps no versions of overwritten and deleted objects"
            )


def _has_no_acls(model: ReviewModel) -> Iterator[Occurrence]:
    for bucket in model.of_type(BUCKET):
        rules = as_list(as_mapping(bucket.get("OwnershipControls")).get("Rules"))
        if not any(as_text(as_mapping(rule).get("ObjectOwnership")) == "BucketOwnerEnforced" for rule in rules):
            yield Occurrence(bucket.at("OwnershipControls"), "ACLs of objects can give access to other accounts")


def _denies_other_identities(model: ReviewModel) -> Iterator[Occurrence]:
    for bucket in dict.fromkeys(one.address for one in data_buckets(model)):
        resource = model.by_address[bucket]
        if not any(
            condition.key.lower().startswith(("aws:principal", "aws:userid"))
            and condition.operator.lower().removesuffix("ifexists").startswith(("stringnot", "arnnot"))
            for one in _denies(model, resource)
            if granted(one, "s3:GetObject", "s3:PutObject")
            for condition in one.syntax.conditions
        ):
            yield Occurrence(
                resource.location,
                "identities of the account with access to all buckets, such as administrators and read-only auditors, "
                "can read and write the data",
            )


def _blocks_customer_keys(model: ReviewModel) -> Iterator[Occurrence]:
    for bucket in dict.fromkeys(one.address for one in data_buckets(model)):
        resource = model.by_address[bucket]
        denied = any(
            condition.key.lower() == "s3:x-amz-server-side-encryption-customer-algorithm"
            for one in _denies(model, resource)
            for condition in one.syntax.conditions
        )
        blocked = any(
            "SSE-C" in as_list(as_mapping(as_mapping(rule).get("BlockedEncryptionTypes")).get("EncryptionType"))
            for rule in resource.items("BucketEncryption", "ServerSideEncryptionConfiguration")
        )
        if not denied and not blocked:
            yield Occurrence(
                resource.location,
                "code can encrypt objects with a key that only the writer has (SSE-C)",
            )


def _no_public_policy(model: ReviewModel) -> Iterator[Occurrence]:
    for policies in model.policies.resource_policies.values():
        for one in (statement for policy in policies for statement in policy.statements):
            if one.use is PolicyUse.RESOURCE and one.allows and names_everyone(one):
                is_function = any(action.lower().startswith("lambda:") for action in one.syntax.action.values)
                if not required_values(one, *_PRINCIPAL_LIMITS) and not is_function:  # callers-function is about these
                    yield at_statement(model, one, "everyone can use the resource")


def _no_other_account(model: ReviewModel) -> Iterator[Occurrence]:
    accounts = {one.account for one in model.templates}
    for policies in model.policies.resource_policies.values():
        for one in (statement for policy in policies for statement in policy.statements):
            if one.use is PolicyUse.RESOURCE and one.allows and not required_values(one, *_PRINCIPAL_LIMITS):
                for other in other_accounts(one, accounts):
                    yield at_statement(model, one, f"every identity of the account {other} can use the resource")


def _key_policies(model: ReviewModel) -> Iterator[Occurrence]:
    for key in {one.address: one for one in model.of_type(KEY)}.values():
        for policy in model.policies.resource_policies.get(key.address, ()):
            for one in policy.statements:
                names = one.syntax.principal.names if one.syntax.principal else ()
                others = [name for kind, name in names if kind == "AWS" and not _is_account(name, key.account)]
                if one.allows and others and granted(one, "kms:PutKeyPolicy", "kms:CreateGrant"):
                    shown = ", ".join(map(model.readable, others))[:200]
                    yield at_statement(model, one, f"{shown} can give itself and others the use of the key")


def _is_account(name: str, account: str) -> bool:
    return name == account or name.endswith(f"::{account}:root")


def _keys_rotate(model: ReviewModel) -> Iterator[Occurrence]:
    for key in model.of_type(KEY):
        is_symmetric = as_text(key.get("KeySpec", default="SYMMETRIC_DEFAULT")) == "SYMMETRIC_DEFAULT"
        if is_symmetric and as_text(key.get("EnableKeyRotation")).lower() != "true":
            yield Occurrence(key.at("EnableKeyRotation"), "the key is never rotated")


RULES = (
    Rule(
        id="data-private",
        group="data",
        severity=Severity.HIGH,
        title="Buckets block public access.",
        reason="A policy or an ACL that is added later could make the data public.",
        source=f"{_S3}access-control-block-public-access.html",
        remedy="Set all four settings of PublicAccessBlockConfiguration to true.",
        check=_is_private,
    ),
    Rule(
        id="data-tls",
        group="data",
        severity=Severity.MEDIUM,
        title="Buckets require TLS, and at least version 1.2.",
        reason="Data could be read on the network.",
        source=f"{_S3}amazon-s3-policy-keys.html#example-object-tls-version",
        remedy="Deny s3:* with NumericLessThan s3:TlsVersion 1.2, and with Bool aws:SecureTransport false.",
        check=_requires_tls,
    ),
    Rule(
        id="data-encryption",
        group="data",
        severity=Severity.LOW,
        title="Buckets state how objects are encrypted.",
        reason="Without a setting, S3 uses its own keys, which no key policy limits.",
        source=f"{_S3}bucket-encryption.html",
        remedy="Set BucketEncryption.",
        check=_is_encrypted,
    ),
    Rule(
        id="data-versions",
        group="data",
        severity=Severity.MEDIUM,
        title="Buckets keep old versions.",
        reason="Code that may write can overwrite inputs and results.",
        source=f"{_S3}Versioning.html",
        remedy="Set VersioningConfiguration.Status to Enabled.",
        check=_keeps_versions,
    ),
    Rule(
        id="data-acls",
        group="data",
        severity=Severity.LOW,
        title="Buckets have no ACLs.",
        reason="An ACL gives access that no policy shows.",
        source=f"{_S3}about-object-ownership.html",
        remedy="Set ObjectOwnership to BucketOwnerEnforced.",
        check=_has_no_acls,
    ),
    Rule(
        id="data-other-identities",
        group="data",
        severity=Severity.MEDIUM,
        title="The policy of a data bucket denies other identities of the account.",
        reason="Every identity with s3:GetObject on `*` reads the files of all tenants.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html",
        remedy="Deny s3:* with ArnNotLike aws:PrincipalArn of the roles that need the data.",
        check=_denies_other_identities,
    ),
    Rule(
        id="data-customer-keys",
        group="data",
        severity=Severity.MEDIUM,
        title="Data buckets reject objects that are encrypted with customer-provided keys (SSE-C).",
        reason="An attacker could encrypt the data with a key that the account does not have.",
        source=f"{_S3}ServerSideEncryptionCustomerKeys.html",
        remedy="Block SSE-C in BucketEncryption, or deny it in the bucket's policy.",
        check=_blocks_customer_keys,
    ),
    Rule(
        id="data-public-policy",
        group="data",
        severity=Severity.HIGH,
        title="No resource policy allows everyone.",
        reason="Everyone includes anonymous callers and every other account.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
        remedy="Name principals, or require aws:PrincipalArn, aws:PrincipalAccount or aws:PrincipalOrgID.",
        check=_no_public_policy,
    ),
    Rule(
        id="data-other-account",
        group="data",
        severity=Severity.HIGH,
        title="No resource policy allows every identity of another account.",
        reason="The other account then decides who reads data or runs code.",
        source="https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html",
        remedy="Name roles as principals, or require aws:PrincipalArn or aws:PrincipalOrgID.",
        check=_no_other_account,
    ),
    Rule(
        id="data-key-policy",
        group="data",
        severity=Severity.HIGH,
        title="Only the account manages a key.",
        reason="An identity with kms:PutKeyPolicy or kms:CreateGrant decrypts everything.",
        source=f"{_KMS}key-policies.html",
        remedy="Allow these actions to the account root, so that IAM policies decide.",
        check=_key_policies,
    ),
    Rule(
        id="data-key-rotation",
        group="data",
        severity=Severity.LOW,
        title="Keys rotate.",
        reason="A key that is used for years protects more data.",
        source=f"{_KMS}rotate-keys.html",
        remedy="Set EnableKeyRotation to true.",
        check=_keys_rotate,
    ),
)
