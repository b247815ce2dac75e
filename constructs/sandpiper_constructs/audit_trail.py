"""The construct `AuditTrail`: a CloudTrail trail that records data events, and the bucket of its log files."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from aws_cdk import Stack
from aws_cdk import aws_cloudtrail as cloudtrail
from aws_cdk import aws_iam as iam
from constructs import Construct

from sandpiper_constructs.log_bucket import LogBucket
from sandpiper_constructs.nag_suppressions import TRAIL_KEY, TRAIL_LOG_GROUP, TRAIL_REGIONS, accept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3

    from sandpiper_contract.audit import EventSelector

SERVICE = "cloudtrail.amazonaws.com"


class AuditTrail(Construct):
    """Creates a trail that records the selected data events of its region, and no management events.

    The integrity of log files can be validated. The policy of their bucket lets only CloudTrail write, for this trail,
    and denies every deletion. Lifecycle rules are not subject to the policy.

    Example:
        ```python
        selector = EventSelector(
            name="Objects", resource_type="AWS::S3::Object", arn_prefix=data.bucket.arn_for_objects("")
        )
        AuditTrail(
            stack,
            "Audit",
            name="claims-audit",
            bucket_name="claims-audit-111122223333",
            selectors=[selector],
            access_logs=data.access_logs,
        )
        ```

    Attributes:
        bucket: the bucket of the log files.
        trail_arn: the trail's ARN.

    Raises:
        ValueError: before any resource is created, without a selector.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        bucket_name: str,
        selectors: Sequence[EventSelector],
        access_logs: s3.IBucket,
        key: kms.IKey | None = None,
        retention_days: int = 365,
        old_version_days: int = 30,
        retain: bool = True,
    ) -> None:
        """Creates the trail and its bucket.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the trail's name, unique in its account and region.
            bucket_name: the name of the bucket of log files, unique in all of AWS.
            selectors: the events that are recorded.
            access_logs: the bucket for access logs of that bucket, in the folder `audit/`.
            key: KMS key of the log files. Its policy must let CloudTrail use it for this trail:
                `trail_key_statements`. Default: SSE-S3.
            retention_days: how long log files are kept. Default: 365.
            old_version_days: how long an overwritten log file can be restored. Default: 30.
            retain: whether the bucket stays when its stack is deleted. Default: True.
        """
        if not selectors:
            raise ValueError("selectors is empty; allowed: one or more, because a trail without any records nothing")
        super().__init__(scope, id)
        self.trail_arn = trail_arn(Stack.of(self), name)
        self.bucket = LogBucket(
            self,
            "Files",
            name=bucket_name,
            expiration_days=retention_days,
            old_version_days=old_version_days,
            retain=retain,
            access_logs=access_logs,
            access_logs_folder="audit/",
        )
        for statement in _statements(self.bucket, self.trail_arn, Stack.of(self).account):
            self.bucket.add_to_resource_policy(statement)
        trail = cloudtrail.CfnTrail(
            self,
            "Resource",
            trail_name=name,
            is_logging=True,
            s3_bucket_name=self.bucket.bucket_name,
            enable_log_file_validation=True,
            include_global_service_events=False,
            is_multi_region_trail=False,
            kms_key_id=None if key is None else key.key_arn,
        )
        # The same form as in the API, with which `sandpiper status` compares it.
        trail.add_property_override("AdvancedEventSelectors", [each.to_json() for each in selectors])
        accept(
            trail,
            {
                TRAIL_LOG_GROUP: "CloudTrail stores the events in S3, where they can be queried.",
                TRAIL_REGIONS: "The trail records one environment, whose resources are all in one region.",
                **(
                    {TRAIL_KEY: "Without a key, S3 encrypts log files with keys of AWS (SSE-S3)."}
                    if key is None
                    else {}
                ),
            },
        )
        # CloudTrail checks at creation whether it can write.
        trail.node.add_dependency(cast("Construct", self.bucket.policy))


def trail_arn(stack: Stack, name: str) -> str:
    """Returns the ARN of a trail in the account and region of a stack."""
    return stack.format_arn(service="cloudtrail", resource="trail", resource_name=name)


def trail_key_statements(arn: str, via_s3: str) -> list[iam.PolicyStatement]:
    """Returns the statements of a key policy that let CloudTrail encrypt the log files of one trail.

    Identities of the account can decrypt them through S3, within their own policies.
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-kms-key-policy-for-cloudtrail.html

    Args:
        arn: the trail.
        via_s3: the host name of S3 in the region, such as `s3.eu-west-1.amazonaws.com`.
    """
    service = cast("iam.IPrincipal", iam.ServicePrincipal(SERVICE))
    of_trail = {"kms:EncryptionContext:aws:cloudtrail:arn": arn}
    return [
        iam.PolicyStatement(
            sid="EncryptAuditTrail",
            principals=[service],
            actions=["kms:GenerateDataKey*"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceArn": arn, **of_trail}},
        ),
        iam.PolicyStatement(
            sid="DescribeForAuditTrail",
            principals=[service],
            actions=["kms:DescribeKey"],
            resources=["*"],
            conditions={"StringEquals": {"aws:SourceArn": arn}},
        ),
        iam.PolicyStatement(
            sid="ReadAuditTrail",
            principals=[cast("iam.IPrincipal", iam.AccountRootPrincipal())],
            actions=["kms:Decrypt"],
            resources=["*"],
            conditions={"StringEquals": {"kms:ViaService": via_s3, **of_trail}},
        ),
    ]


def _statements(bucket: s3.Bucket, arn: str, account: str) -> list[iam.PolicyStatement]:
    """Returns the statements of the bucket's policy.

    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/create-s3-bucket-policy-for-cloudtrail.html
    """
    service = cast("iam.IPrincipal", iam.ServicePrincipal(SERVICE))
    return [
        iam.PolicyStatement(
            sid="CheckByTrail",
            principals=[service],
            actions=["s3:GetBucketAcl"],
            resources=[bucket.bucket_arn],
            conditions={"StringEquals": {"aws:SourceArn": arn}},
        ),
        iam.PolicyStatement(
            sid="WriteByTrail",
            principals=[service],
            actions=["s3:PutObject"],
            resources=[bucket.arn_for_objects(f"AWSLogs/{account}/*")],
            conditions={"StringEquals": {"aws:SourceArn": arn, "s3:x-amz-acl": "bucket-owner-full-control"}},
        ),
        iam.PolicyStatement(
            sid="OnlyTheTrailWrites",
            effect=iam.Effect.DENY,
            principals=[cast("iam.IPrincipal", iam.AnyPrincipal())],
            actions=["s3:PutObject", "s3:PutObjectAcl", "s3:PutObjectTagging", "s3:PutObjectVersionTagging"],
            resources=[bucket.arn_for_objects("*")],
            conditions={"StringNotEquals": {"aws:SourceArn": arn}},
        ),
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html
        iam.PolicyStatement(
            sid="LogFilesOnlyExpire",
            effect=iam.Effect.DENY,
            principals=[cast("iam.IPrincipal", iam.AnyPrincipal())],
            actions=["s3:DeleteObject", "s3:DeleteObjectVersion"],
            resources=[bucket.arn_for_objects("*")],
        ),
    ]
