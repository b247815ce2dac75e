"""The resources of `environments/local.yaml` as a flat CDK script: no environment file, no constructs of ours.

It is the yardstick of `bench_synth`: what synthesis costs before any structure. It deploys nothing that anybody should
use. The one argument is the directory of the function's code.
"""

# The CDK's classes and interfaces name some parameters differently; a script does not care, a type checker does.
# pyright: reportArgumentType=false

import json
import sys
from typing import Any

import aws_cdk as cdk
import cdk_nag
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

DESTROY = cdk.RemovalPolicy.DESTROY
NAME = "sandpiper-local-123456789012-us-east-1"
env = cdk.Environment(account="123456789012", region="us-east-1")

app = cdk.App(
    builtin_cloud_formation_validation=False,
    analytics_reporting=False,
    context={"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True, "@aws-cdk/core:enablePartitionLiterals": True},
)
storage = cdk.Stack(app, "flat-storage", env=env)
private: dict[str, Any] = {
    "encryption": s3.BucketEncryption.S3_MANAGED,
    "block_public_access": s3.BlockPublicAccess.BLOCK_ALL,
    "object_ownership": s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
    "enforce_ssl": True,
    "removal_policy": DESTROY,
}
access_logs = s3.Bucket(
    storage,
    "Logs",
    bucket_name=f"{NAME}-logs",
    lifecycle_rules=[s3.LifecycleRule(expiration=cdk.Duration.days(30))],
    **private,
)
s3.Bucket(
    storage,
    "Data",
    bucket_name=NAME,
    versioned=True,
    server_access_logs_bucket=access_logs,
    lifecycle_rules=[
        s3.LifecycleRule(
            noncurrent_version_expiration=cdk.Duration.days(30),
            abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
        ),
        s3.LifecycleRule(prefix="tenants/demo/runs/", expiration=cdk.Duration.days(90)),
    ],
    **private,
)

stack = cdk.Stack(app, "flat-demo", env=env)
stack.add_stack_dependency(storage)
bucket = s3.Bucket.from_bucket_name(stack, "Data", NAME)
interpreters: dict[str, agentcore.CodeInterpreterCustom] = {}
for key in ("sandbox", "public"):
    objects = f"arn:aws:s3:::{NAME}/tenants/demo/sandbox/{key}/*"
    execution_role = iam.Role(
        stack,
        f"ExecutionRole-{key}",
        assumed_by=iam.ServicePrincipal(
            "bedrock-agentcore.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": "123456789012"}}
        ),
        inline_policies={
            "Folder": iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(actions=["s3:GetObject", "s3:PutObject"], resources=[objects]),
                    iam.PolicyStatement(actions=["s3:ListBucket"], resources=[bucket.bucket_arn]),
                ]
            )
        },
    )
    cdk.Validations.of(execution_role).acknowledge(
        cdk.Acknowledgment(id=f"AwsSolutions::AwsSolutions-IAM5[Resource::{objects}]", reason="A folder.")
    )
    network = agentcore.CodeInterpreterNetworkConfiguration
    interpreters[key] = agentcore.CodeInterpreterCustom(
        stack,
        f"Interpreter-{key}",
        code_interpreter_custom_name=f"local_demo_{key}",
        execution_role=execution_role,
        network_configuration=(network.using_public_network() if key == "public" else network.using_sandbox_network()),
    )

function_logs = logs.LogGroup(stack, "FunctionLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=DESTROY)
role = iam.Role(stack, "FunctionRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
function_logs.grant_write(role)
for actions, folder in ((["s3:GetObject"], "inputs"), (["s3:GetObject", "s3:PutObject"], "runs")):
    objects = f"arn:aws:s3:::{NAME}/tenants/demo/{folder}/*"
    role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[objects]))
    cdk.Validations.of(role).acknowledge(
        cdk.Acknowledgment(id=f"AwsSolutions::AwsSolutions-IAM5[Resource::{objects}]", reason="A folder.")
    )
role.add_to_policy(
    iam.PolicyStatement(
        actions=[
            f"bedrock-agentcore:{verb}"
            for verb in ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession")
        ],
        resources=[interpreter.code_interpreter_arn for interpreter in interpreters.values()],
    )
)
function = lambda_.Function(
    stack,
    "Function",
    runtime=lambda_.Runtime.PYTHON_3_14,
    architecture=lambda_.Architecture.ARM_64,
    handler="code_runner.handlers.run_operation",
    code=lambda_.Code.from_asset(sys.argv[1], asset_hash="flat"),
    role=role,
    memory_size=512,
    timeout=cdk.Duration.seconds(900),
    log_group=function_logs,
    retry_attempts=0,
    environment={
        "SANDPIPER_BUCKET": NAME,
        "SANDPIPER_PREFIX": "tenants/demo",
        "SANDPIPER_INTERPRETERS": json.dumps({key: one.code_interpreter_id for key, one in interpreters.items()}),
    },
)

workflow_logs = logs.LogGroup(stack, "WorkflowLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=DESTROY)
workflow_role = iam.Role(
    stack,
    "WorkflowRole",
    assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
    inline_policies={
        "RunCode": iam.PolicyDocument(
            statements=[
                iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn]),
                iam.PolicyStatement(actions=["logs:CreateLogDelivery", "xray:PutTraceSegments"], resources=["*"]),
            ]
        )
    },
)
cdk.Validations.of(workflow_role).acknowledge(
    cdk.Acknowledgment(id="AwsSolutions::AwsSolutions-IAM5[Resource::*]", reason="No resources.")
)
run = tasks.LambdaInvoke(
    stack, "RunCode", lambda_function=function, payload_response_only=True, retry_on_service_exceptions=False
)
run.add_retry(errors=["Throttled"], interval=cdk.Duration.seconds(2), max_attempts=8)
run.add_catch(sfn.Fail(stack, "RunFailed", error_path="$.Error", cause_path="$.Cause"))
workflow = sfn.StateMachine(
    stack,
    "Workflow",
    definition_body=sfn.DefinitionBody.from_chainable(run),
    timeout=cdk.Duration.seconds(1_442),
    role=workflow_role.without_policy_updates(),
    logs=sfn.LogOptions(destination=workflow_logs, level=sfn.LogLevel.ALL, include_execution_data=False),
    tracing_enabled=True,
)

throttled = cloudwatch.Metric(
    namespace="Sandpiper", metric_name="Throttled", dimensions_map={"service": "sandpiper-local-demo"}, statistic="Sum"
)
alarms = [
    cloudwatch.Alarm(stack, "Errors", metric=workflow.metric_failed(), threshold=1, evaluation_periods=1),
    cloudwatch.Alarm(stack, "Throttles", metric=throttled, threshold=5, evaluation_periods=1),
]


def agentcore_metric(key: str, operation: str, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/Bedrock-AgentCore",
        metric_name=name,
        dimensions_map={"Resource": interpreters[key].code_interpreter_arn, "Operation": operation},
        statistic="Sum",
        label=f"{operation} {name}",
    )


operations = ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession")
rows: list[list[Any]] = [
    [cloudwatch.AlarmStatusWidget(alarms=alarms, width=24)],
    [
        cloudwatch.GraphWidget(
            title="Executions",
            left=[
                workflow.metric_started(),
                workflow.metric_succeeded(),
                workflow.metric_failed(),
                workflow.metric_timed_out(),
            ],
        ),
        cloudwatch.GraphWidget(title="Time", left=[workflow.metric_time()]),
        cloudwatch.GraphWidget(
            title="Runs",
            left=[
                cloudwatch.Metric(
                    namespace="Sandpiper", metric_name=name, dimensions_map={"service": "sandpiper-local-demo"}
                )
                for name in (
                    *("Runs", "ProgramsFailed", "FilesKept", "FilesSkipped", "Throttled", "Errors"),
                    "SessionsNotStopped",
                )
            ],
        ),
    ],
]
for key in interpreters:
    rows.append(
        [
            cloudwatch.GraphWidget(
                title=title,
                left=[agentcore_metric(key, operation, name) for name in names for operation in operations],
            )
            for title, names in {
                "Calls": ["Invocations"],
                "Latency": ["Latency"],
                "Failed": ["Throttles", "UserErrors", "SystemErrors"],
            }.items()
        ]
    )
rows.append(
    [
        cloudwatch.GraphWidget(
            title=name,
            left=[
                cloudwatch.Metric(
                    namespace="AWS/Bedrock-AgentCore",
                    metric_name=name,
                    dimensions_map={"Service": "AgentCore.CodeInterpreter", "Resource": one.code_interpreter_arn},
                )
                for one in interpreters.values()
            ],
        )
        for name in ("CPUUsed-vCPUHours", "MemoryUsed-GBHours")
    ]
)
cloudwatch.Dashboard(stack, "Dashboard", widgets=rows)
for output, value in {
    "RunCodeStateMachineArn": workflow.state_machine_arn,
    "DataBucketName": NAME,
    "DataPrefix": "tenants/demo",
    "Interpreters": interpreters["sandbox"].code_interpreter_id,
    "SessionFunctionName": function.function_name,
    "DashboardName": "flat",
}.items():
    cdk.CfnOutput(stack, output, value=value)

cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
app.synth()
