"""Grants for the data bucket, its KMS key and SSM parameters."""

from __future__ import annotations

from sandpiper.deployment_policy import features
from sandpiper.deployment_policy.grant import (
    CREATED_WITH_TAG,
    REQUEST_TAG,
    REQUEST_TAG_ON_UNTAGGED,
    RESOURCE_TAG,
    Grant,
    actions,
)
from sandpiper_contract.settings import ACCESS_LOGS_SUFFIX, AUDIT_SUFFIX

_KEY_TYPES = ("AWS::KMS::Key",)
_KEYS = "arn:{partition}:kms:{region}:{account}:key/*"
_FUNCTION_TYPES = ("AWS::Lambda::Function",)
_VIA_LAMBDA = {**RESOURCE_TAG["StringEquals"], "kms:ViaService": "lambda.{region}.{dns_suffix}"}
_PARAMETER_TYPES = ("AWS::SSM::Parameter",)
_PARAMETERS = "arn:{partition}:ssm:{region}:{account}:parameter"

_BUCKET_TYPES = ("AWS::S3::Bucket", "AWS::S3::BucketPolicy")
_BUCKET_ACTIONS = actions(
    "s3",
    *("CreateBucket", "DeleteBucket", "ListBucket", "GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"),
    *("GetEncryptionConfiguration", "PutEncryptionConfiguration"),
    *("GetLifecycleConfiguration", "PutLifecycleConfiguration", "GetBucketLogging", "PutBucketLogging"),
    *("GetBucketOwnershipControls", "PutBucketOwnershipControls"),
    *("GetBucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
    *("GetBucketVersioning", "PutBucketVersioning", "GetBucketTagging", "PutBucketTagging"),
    *("ListTagsForResource", "TagResource", "UntagResource"),
)

STORAGE_GRANTS = (
    Grant(
        "Buckets",
        _BUCKET_TYPES,
        _BUCKET_ACTIONS,
        ("arn:{partition}:s3:::{bucket}", f"arn:{{partition}}:s3:::{{bucket}}{ACCESS_LOGS_SUFFIX}"),
        applies_to=features.own_bucket,
    ),
    Grant(
        "BucketsOfTheAuditTrail",
        _BUCKET_TYPES,
        _BUCKET_ACTIONS,
        (f"arn:{{partition}}:s3:::{{bucket}}{AUDIT_SUFFIX}", f"arn:{{partition}}:s3:::{{bucket}}{ACCESS_LOGS_SUFFIX}"),
        applies_to=features.own_trail,
    ),
    Grant(
        "AuditTrail",
        ("AWS::CloudTrail::Trail",),
        actions(
            "cloudtrail",
            *("CreateTrail", "UpdateTrail", "DeleteTrail", "StartLogging", "StopLogging", "PutEventSelectors"),
            *("GetTrail", "GetTrailStatus", "GetEventSelectors", "GetInsightSelectors", "GetEventConfiguration"),
            *("AddTags", "RemoveTags", "ListTags"),
        ),
        ("arn:{partition}:cloudtrail:{region}:{account}:trail/{prefix}audit",),
        applies_to=features.own_trail,
    ),
    Grant(
        "FindTrails",
        ("AWS::CloudTrail::Trail",),
        actions("cloudtrail", "DescribeTrails"),
        ("*",),
        applies_to=features.own_trail,
        unscoped_reason="IAM has no resource for this search; it reads settings and no events",
    ),
    Grant(
        "MakeKeys",
        _KEY_TYPES,
        actions("kms", "CreateKey"),
        ("*",),
        REQUEST_TAG,
        features.any_key,
        CREATED_WITH_TAG,
    ),
    Grant(
        "TagKeys",
        _KEY_TYPES,
        actions("kms", "TagResource"),
        (_KEYS,),
        REQUEST_TAG_ON_UNTAGGED,
        features.any_key,
        "KMS has no condition key for tagging at creation: a key of this account and region without the tag can be "
        "tagged, and then be deleted and have its policy changed; a key with another environment's tag cannot",
    ),
    Grant(
        "Keys",
        _KEY_TYPES,
        actions(
            "kms",
            *("DescribeKey", "GetKeyPolicy", "PutKeyPolicy", "EnableKeyRotation", "GetKeyRotationStatus"),
            *("UpdateKeyDescription", "ListResourceTags", "TagResource", "UntagResource", "ScheduleKeyDeletion"),
        ),
        (_KEYS,),
        RESOURCE_TAG,
        features.any_key,
    ),
    Grant(
        # https://docs.aws.amazon.com/step-functions/latest/dg/encryption-at-rest.html
        "EncryptWorkflows",
        ("AWS::StepFunctions::StateMachine",),
        actions("kms", "Decrypt", "GenerateDataKey"),
        (_KEYS,),
        {
            "StringEquals": {**RESOURCE_TAG["StringEquals"], "kms:ViaService": "states.{region}.{dns_suffix}"},
            "ArnLike": {
                "kms:EncryptionContext:aws:states:stateMachineArn": (
                    "arn:{partition}:states:{region}:{account}:stateMachine:{prefix}*"
                )
            },
        },
        features.own_key,
    ),
    Grant(
        # https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars-encryption.html
        "EncryptFunctions",
        _FUNCTION_TYPES,
        actions("kms", "Decrypt", "Encrypt", "GenerateDataKey"),
        (_KEYS,),
        {
            "StringEquals": _VIA_LAMBDA,
            "ArnLike": {
                "kms:EncryptionContext:aws:lambda:FunctionArn": (
                    "arn:{partition}:lambda:{region}:{account}:function:{name_prefix}*"
                )
            },
        },
        features.own_key,
    ),
    Grant(
        "GrantKeysToFunctions",
        _FUNCTION_TYPES,
        actions("kms", "CreateGrant"),
        (_KEYS,),
        {"StringEquals": _VIA_LAMBDA, "Bool": {"kms:GrantIsForAWSResource": "true"}},
        features.own_key,
    ),
    Grant(
        "Parameters",
        _PARAMETER_TYPES,
        actions(
            "ssm",
            *("PutParameter", "GetParameter", "GetParameters", "DeleteParameter", "DeleteParameters"),
            *("ListTagsForResource", "AddTagsToResource", "RemoveTagsFromResource"),
        ),
        (_PARAMETERS + "/sandpiper/{environment}/*",),
    ),
    Grant(
        "VersionOfBootstrap",
        (),
        actions("ssm", "GetParameters"),
        (_PARAMETERS + "/cdk-bootstrap/{qualifier}/version",),
    ),
    Grant(
        "FindParameters",
        _PARAMETER_TYPES,
        actions("ssm", "DescribeParameters"),
        ("*",),
        unscoped_reason="IAM has no resource for this search; it reads names and no values",
    ),
)
