"""How the rules of cdk-nag and checkov are met. Each sentence is true when the templates pass the rule."""

from __future__ import annotations

_PRIVATE_BUCKETS = "All settings of Block Public Access are on, and ACLs are disabled."
_NO_WIDE_POLICY = "Every policy lists its actions. No action has a wildcard."
_NO_OPEN_PORT = "No security group accepts connections from every address."
_NO_SECRETS = "Variables and parameters contain settings and ids."
_OWN_KEY = "A customer managed key encrypts logs and variables of functions (`data_bucket.key: own`)."
_OWN_TRAIL_KEY = "A customer managed key encrypts the log files of the trail (`data_bucket.key: own`)."
_VALIDATED = "CloudTrail signs the log files of the trail."
_ONLY_RULES = "No permission makes a function public. Each names its caller."
_NAMED_PRINCIPALS = "Every trust policy names one service, or the roles in `callers`, `starters` or `readers`."
MET = {
    "CKV2_AWS_75": "No function has a URL.",
    "CKV_AWS_107": _NO_WIDE_POLICY,
    "CKV_AWS_108": _NO_WIDE_POLICY,
    "CKV_AWS_109": _NO_WIDE_POLICY,
    "CKV_AWS_110": _NO_WIDE_POLICY,
    "CKV_AWS_111": _NO_WIDE_POLICY,
    "CKV_AWS_158": _OWN_KEY,
    "CKV_AWS_173": _OWN_KEY,
    "CKV_AWS_19": "Every bucket encrypts its objects.",
    "CKV_AWS_20": _PRIVATE_BUCKETS,
    "CKV_AWS_21": "Every bucket keeps old versions.",
    "CKV_AWS_23": "Every group and every rule has a description.",
    "CKV_AWS_24": _NO_OPEN_PORT,
    "CKV_AWS_25": _NO_OPEN_PORT,
    "CKV_AWS_26": "A customer managed key encrypts every topic.",
    "CKV_AWS_260": _NO_OPEN_PORT,
    "CKV_AWS_33": "The policy of the key names principals.",
    "CKV_AWS_35": _OWN_TRAIL_KEY,
    "CKV_AWS_36": _VALIDATED,
    "CKV_AWS_363": "Functions use the newest Python by default.",
    "CKV_AWS_364": _ONLY_RULES,
    "CKV_AWS_384": _NO_SECRETS,
    "CKV_AWS_40": "Policies are attached to roles, not to users.",
    "CKV_AWS_45": _NO_SECRETS,
    "CKV_AWS_53": _PRIVATE_BUCKETS,
    "CKV_AWS_54": _PRIVATE_BUCKETS,
    "CKV_AWS_55": _PRIVATE_BUCKETS,
    "CKV_AWS_56": _PRIVATE_BUCKETS,
    "CKV_AWS_57": _PRIVATE_BUCKETS,
    "CKV_AWS_60": _NAMED_PRINCIPALS,
    "CKV_AWS_61": _NAMED_PRINCIPALS,
    "CKV_AWS_62": _NO_WIDE_POLICY,
    "CKV_AWS_63": _NO_WIDE_POLICY,
    "CKV_AWS_66": "Every log expires (`logs.retention_days`, `network.query_log_days`).",
    "CKV_AWS_7": "KMS rotates the key every year.",
    "CloudTrailEncryptionEnabled": _OWN_TRAIL_KEY,
    "CloudTrailLogFileValidationEnabled": _VALIDATED,
    "CloudWatchAlarmAction": "Each alarm notifies a topic (`alarm_subscriptions`, `alarm_topic_arn`).",
    "CloudWatchLogGroupEncrypted": "A customer managed key encrypts every log (`data_bucket.key: own`).",
    "CloudWatchLogGroupRetentionPeriod": "Every log expires (`logs.retention_days`, `network.query_log_days`).",
    "EC2RestrictedCommonPorts": _NO_OPEN_PORT,
    "EC2RestrictedInbound": _NO_OPEN_PORT,
    "EC2RestrictedSSH": _NO_OPEN_PORT,
    "EC2SecurityGroupDescription": "Every group has a description.",
    "IAMNoManagedPolicies": "No role has a managed policy.",
    "IAMPolicyNoStatementsWithAdminAccess": _NO_WIDE_POLICY,
    "IAMPolicyNoStatementsWithFullAccess": _NO_WIDE_POLICY,
    "IAMUserNoPolicies": "Policies are attached to roles, not to users.",
    "KMSBackingKeyRotationEnabled": "KMS rotates the key every year.",
    "LambdaConcurrency": "Every function has its own limit (`session_function.reserved_concurrency`).",
    "LambdaDefaultMemorySize": "Every function has an explicit size of memory.",
    "LambdaDefaultTimeout": "Every function has an explicit timeout.",
    "LambdaFunctionPublicAccessProhibited": _ONLY_RULES,
    "LambdaLatestVersion": "Functions use the newest Python by default.",
    "LambdaStarPermissions": "Roles of functions have no actions on all resources.",
    "S3BucketLevelPublicAccessProhibited": _PRIVATE_BUCKETS,
    "S3BucketLoggingEnabled": "Requests to every bucket are logged in a log bucket, except those to the log bucket.",
    "S3BucketPublicReadProhibited": _PRIVATE_BUCKETS,
    "S3BucketPublicWriteProhibited": _PRIVATE_BUCKETS,
    "S3BucketSSLRequestsOnly": "The policy of every bucket denies requests without TLS 1.2.",
    "S3BucketVersioningEnabled": "Every bucket keeps old versions.",
    "S3DefaultEncryptionKMS": "A customer managed key encrypts objects (`data_bucket.key`).",
    "S3WebBucketOAIAccess": "No bucket is a website.",
    "SNSEncryptedKMS": "A customer managed key encrypts every topic.",
    "SNSTopicSSLPublishOnly": "The policy of every topic denies messages without TLS.",
    "StepFunctionStateMachineAllLogsToCloudWatch": "Workflows log every event, without input and output.",
    "StepFunctionStateMachineXray": "Workflows are traced.",
    "VPCFlowLogsEnabled": "Accepted and rejected connections are logged.",
    "VPCSubnetAutoAssignPublicIpDisabled": "Subnets assign no public addresses. No gateway leads to the internet.",
}
"""How a rule is met: by its name in cdk-nag, which several packs share, or by the id of the check in checkov.

A rule that is met with an option, and accepted without it, has two rows.
"""
