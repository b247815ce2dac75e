"""Runs MiniStack with all patches: `server PORT WORK_DIRECTORY LAMBDA_PYTHON`. `start` checks the version first."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from local_aws.lambda_runtime.functions import Functions
from local_aws.ministack.authorizer import TOKEN_VARIABLE, Authorizer
from local_aws.ministack.code_interpreter import CodeInterpreterCustom
from local_aws.ministack.patches import (
    app,
    cloudformation,
    cloudformation_conditions,
    cloudformation_deletion,
    cloudformation_names,
    cloudformation_types,
    cloudtrail,
    cloudwatch_alarms,
    cloudwatch_logs,
    cloudwatch_metrics,
    cloudwatch_resources,
    eventbridge,
    iam,
    kms,
    lambda_svc,
    log_deliveries,
    logs_insights,
    pass_role,
    s3,
    s3_bodies,
    s3_buckets,
    s3_permissions,
    service_metrics,
    stepfunctions,
    stepfunctions_encryption,
    stepfunctions_express,
    stepfunctions_history,
    stepfunctions_outcomes,
    stepfunctions_states,
)
from local_aws.ministack.stub_resources import STUB_RESOURCES

FUNCTION_VARIABLES = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BEDROCK_AGENTCORE", "AWS_EC2_METADATA_DISABLED")
"""Variables that every function receives in addition to those of AWS, so that it calls the embedded AWS."""

MAX_OPEN_FILES = 65_536
"""Each large object in S3 holds one file. The usual limit of a process is 1,024."""


def main() -> None:
    """Installs the patches and serves until SIGTERM."""
    port, work, lambda_python = int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, MAX_OPEN_FILES)), hard))
    token = os.environ.pop(TOKEN_VARIABLE)  # removed: child processes must not inherit it
    functions = Functions(work, lambda_python, {name: os.environ[name] for name in FUNCTION_VARIABLES})
    iam.install()
    interpreters = CodeInterpreterCustom(token)
    cloudformation_types.add_resource_type("AWS::BedrockAgentCore::CodeInterpreterCustom", interpreters, tags="map")
    cloudformation_types.add_resource_type("AWS::CloudTrail::Trail", cloudtrail.Trail(), tags="list")
    for name, resource_type in {
        "AWS::CloudWatch::CompositeAlarm": cloudwatch_resources.CompositeAlarm(),
        "AWS::Logs::Delivery": log_deliveries.Delivery(),
        "AWS::Logs::DeliveryDestination": log_deliveries.DeliveryDestination(),
        "AWS::Logs::DeliverySource": log_deliveries.DeliverySource(),
    }.items():
        cloudformation_types.add_resource_type(name, resource_type, tags="list")
    for name, stub in STUB_RESOURCES.items():
        cloudformation_types.add_stub_resource(name, stub)
    cloudwatch_metrics.install()
    cloudwatch_alarms.install()
    cloudwatch_logs.install()
    cloudwatch_resources.install()
    log_deliveries.install()
    logs_insights.install()
    service_metrics.install()
    s3_bodies.install()
    s3.install()
    cloudformation_conditions.install()
    cloudformation_names.install()
    lambda_svc.install(functions)
    s3_buckets.install()
    kms.install()
    s3_permissions.install()
    pass_role.install()
    cloudformation.install()
    cloudformation_deletion.install()
    stepfunctions_outcomes.install()
    stepfunctions_history.install()
    stepfunctions_states.install()
    stepfunctions_express.install()
    stepfunctions.install()
    stepfunctions_encryption.install()
    eventbridge.install()
    app.serve(port, Authorizer(token), functions.watcher.close)


if __name__ == "__main__":
    main()
