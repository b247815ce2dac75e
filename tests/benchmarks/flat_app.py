"""Creates the resources of an environment with a flat CDK script, without an environment file and our constructs.

It is the baseline of `bench_synth`: the cost of synthesis without any structure. Do not deploy it. The arguments are
the directory of the function's code, the number of tenants and the number of interpreters of each tenant.
"""

# The CDK's classes and interfaces name some parameters differently, which only a type checker rejects.
# pyright: reportArgumentType=false

import json
import sys
from typing import Any

import aws_cdk as cdk
import cdk_nag
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks

DIRECTORY = sys.argv[1]
TENANTS = [f"tenant-{number:03}" for number in range(int(sys.argv[2]))]
KEYS = [f"key-{number:02}" for number in range(int(sys.argv[3]))]
DESTROY = cdk.RemovalPolicy.DESTROY
NAME = "sandpiper-big-111122223333-eu-west-1"
RUN_METRICS = (
    *("Runs", "ProgramsFailed", "FilesKept", "FilesSkipped", "Throttled", "Errors"),
    *("SessionsNotStopped", "AccessDenied"),
)
RUN_ALARMS = (
    *("Throttled", "SessionsNotStopped", "AccessDenied"),
    *("NearDeadline", "Latency", "DuplicateExecutions", "FilesSkipped", "EstimatedUsd"),
)
OPERATIONS = ("StartCodeInterpreterSession", "InvokeCodeInterpreter", "StopCodeInterpreterSession")
env = cdk.Environment(account="111122223333", region="eu-west-1")

app = cdk.App(
    builtin_cloud_formation_validation=False,
    analytics_reporting=False,
    context={"@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True, "@aws-cdk/core:enablePartitionLiterals": True},
)
cdk.Tags.of(app).add("sandpiper:environment", "big")
cdk.Tags.of(app).add("sandpiper:owner", "tests")


def run_metric(tenant: str, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="Sandpiper", metric_name=name, dimensions_map={"service": f"flat-{tenant}"}, statistic="Sum"
    )


def account_metric(namespace: str, name: str) -> cloudwatch.Metric:
    return cloudwatch.Metric(namespace=namespace, metric_name=name, statistic="Sum")


fleet = cdk.Stack(app, "flat-fleet", env=env)
fleet_alarms = [
    cloudwatch.Alarm(fleet, name, metric=account_metric("AWS/Account", name), threshold=1, evaluation_periods=1)
    for name in ("Sessions", "Functions", "Throttles", "Hours", "Concurrency", "Starts", "Invokes", "Stops")
]
for name in ("Quotas", "Throttling"):
    cloudwatch.CompositeAlarm(
        fleet,
        name,
        alarm_rule=cloudwatch.AlarmRule.any_of(
            *(cloudwatch.AlarmRule.from_alarm(one, cloudwatch.AlarmState.ALARM) for one in fleet_alarms[:4])
        ),
    )
cloudwatch.Dashboard(
    fleet,
    "Dashboard",
    widgets=[
        [cloudwatch.AlarmStatusWidget(alarms=fleet_alarms, width=24)],
        [cloudwatch.GraphWidget(title="Sessions", left=[account_metric("AWS/Account", "Sessions")])],
        [
            cloudwatch.GraphWidget(title=name, left=[run_metric(tenant, name) for tenant in TENANTS])
            for name in ("Runs", "Errors", "Throttled", "SessionsNotStopped")
        ],
    ],
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
        *(s3.LifecycleRule(prefix=f"tenants/{tenant}/runs/", expiration=cdk.Duration.days(90)) for tenant in TENANTS),
    ],
    **private,
)


def acknowledge(role: iam.Role, resource: str) -> None:
    finding = f"AwsSolutions::AwsSolutions-IAM5[Resource::{resource}]"
    cdk.Validations.of(role).acknowledge(cdk.Acknowledgment(id=finding, reason="A folder."))


def tenant_stack(tenant: str) -> None:
    stack = cdk.Stack(app, f"flat-{tenant}", env=env)
    stack.add_stack_dependency(storage)
    cdk.Tags.of(stack).add("sandpiper:tenant", tenant)
    bucket = s3.Bucket.from_bucket_name(stack, "Data", NAME)
    interpreters: dict[str, agentcore.CodeInterpreterCustom] = {}
    for key in KEYS:
        objects = f"arn:aws:s3:::{NAME}/tenants/{tenant}/sandbox/{key}/*"
        execution_role = iam.Role(
            stack,
            f"ExecutionRole-{key}",
            assumed_by=iam.ServicePrincipal(
                "bedrock-agentcore.amazonaws.com", conditions={"StringEquals": {"aws:SourceAccount": "111122223333"}}
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
        acknowledge(execution_role, objects)
        interpreters[key] = agentcore.CodeInterpreterCustom(
            stack,
            f"Interpreter-{key}",
            code_interpreter_custom_name=f"big_{tenant}_{key}".replace("-", "_"),
            execution_role=execution_role,
            network_configuration=agentcore.CodeInterpreterNetworkConfiguration.using_sandbox_network(),
        )

    deliveries(stack, tenant, interpreters)
    stopper = session_stopper(stack, interpreters)
    function_logs = logs.LogGroup(stack, "FunctionLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=DESTROY)
    role = iam.Role(stack, "FunctionRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    function_logs.grant_write(role)
    for actions, folder in (
        (["s3:GetObject"], "inputs"),
        (["s3:GetObject", "s3:PutObject"], "runs"),
    ):
        objects = f"arn:aws:s3:::{NAME}/tenants/{tenant}/{folder}/*"
        role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[objects]))
        acknowledge(role, objects)
    for interpreter in interpreters.values():
        role.add_to_policy(
            iam.PolicyStatement(
                actions=[f"bedrock-agentcore:{operation}" for operation in OPERATIONS],
                resources=[interpreter.code_interpreter_arn],
            )
        )
    function = lambda_.Function(
        stack,
        "Function",
        runtime=lambda_.Runtime.PYTHON_3_14,
        architecture=lambda_.Architecture.ARM_64,
        handler="code_runner.handlers.run_operation",
        code=lambda_.Code.from_asset(DIRECTORY, asset_hash="flat"),
        role=role,
        memory_size=512,
        timeout=cdk.Duration.seconds(900),
        log_group=function_logs,
        retry_attempts=0,
        environment={
            "SANDPIPER_BUCKET": NAME,
            "SANDPIPER_PREFIX": f"tenants/{tenant}",
            "SANDPIPER_INTERPRETERS": json.dumps({key: one.code_interpreter_id for key, one in interpreters.items()}),
        },
    )

    function.node.add_dependency(*stopper)

    run = task(stack, "RunCode", function)
    run.add_catch(sfn.Fail(stack, "RunFailed", error_path="$.Error", cause_path="$.Cause"))
    workflow = state_machine(stack, "RunCode", run, function)
    command = state_machine(stack, "RunCommand", run_command(stack, function), function)
    sweep = events.Rule(stack, "Sweep", schedule=events.Schedule.rate(cdk.Duration.hours(1)))
    sweep.add_target(targets.LambdaFunction(function))
    alarms = [
        cloudwatch.Alarm(stack, name, metric=metric, threshold=1, evaluation_periods=1)
        for name, metric in {
            **{name: run_metric(tenant, name) for name in RUN_ALARMS},
            **workflow_metrics("", workflow),
            **workflow_metrics("Command", command),
        }.items()
    ]
    in_alarm = (cloudwatch.AlarmRule.from_alarm(one, cloudwatch.AlarmState.ALARM) for one in alarms[:4])
    cloudwatch.CompositeAlarm(stack, "RunsFail", alarm_rule=cloudwatch.AlarmRule.any_of(*in_alarm))
    dashboard(stack, tenant, workflow, interpreters, alarms)
    for number in range(5):
        logs.QueryDefinition(
            stack,
            f"Query{number}",
            query_definition_name=f"flat-{tenant}/{number}",
            query_string=logs.QueryString(fields=["@timestamp", "message"], limit=20),
            log_groups=[function_logs],
        )
    for output, value in {
        "RunCodeStateMachineArn": workflow.state_machine_arn,
        "DataBucketName": NAME,
        "DataPrefix": f"tenants/{tenant}",
        "Interpreters": json.dumps({key: one.code_interpreter_id for key, one in interpreters.items()}),
        "SessionFunctionName": function.function_name,
        "DashboardName": "flat",
    }.items():
        cdk.CfnOutput(stack, output, value=value)


def workflow_metrics(prefix: str, workflow: sfn.StateMachine) -> dict[str, cloudwatch.Metric]:
    return {
        f"{prefix}Errors": workflow.metric_failed(),
        f"{prefix}TimedOut": workflow.metric_timed_out(),
        f"{prefix}Aborted": workflow.metric_aborted(),
    }


def task(stack: cdk.Stack, name: str, function: lambda_.Function) -> tasks.LambdaInvoke:
    run = tasks.LambdaInvoke(
        stack, name, lambda_function=function, payload_response_only=True, retry_on_service_exceptions=False
    )
    run.add_retry(errors=["Throttled"], interval=cdk.Duration.seconds(2), max_attempts=8)
    return run


def run_command(stack: cdk.Stack, function: lambda_.Function) -> sfn.IChainable:
    start, poll, close = (task(stack, name, function) for name in ("Start", "Poll", "Close"))
    failed = task(stack, "StopSessions", function).next(sfn.Fail(stack, "CommandFailed"))
    for each in (start, poll, close):
        each.add_catch(failed)
    wait = sfn.Wait(stack, "Wait", time=sfn.WaitTime.duration(cdk.Duration.seconds(5)))
    ended = sfn.Choice(stack, "Ended").when(sfn.Condition.boolean_equals("$.ended", True), close).otherwise(wait)
    return task(stack, "Check", function).next(start).next(wait).next(poll).next(ended)


def state_machine(
    stack: cdk.Stack, name: str, definition: sfn.IChainable, function: lambda_.Function
) -> sfn.StateMachine:
    workflow_logs = logs.LogGroup(stack, f"{name}Logs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=DESTROY)
    workflow_role = iam.Role(
        stack,
        f"{name}Role",
        assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
        inline_policies={
            name: iam.PolicyDocument(
                statements=[
                    iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[function.function_arn]),
                    iam.PolicyStatement(actions=["logs:CreateLogDelivery", "xray:PutTraceSegments"], resources=["*"]),
                ]
            )
        },
    )
    acknowledge(workflow_role, "*")
    workflow = sfn.StateMachine(
        stack,
        f"{name}Workflow",
        definition_body=sfn.DefinitionBody.from_chainable(definition),
        timeout=cdk.Duration.seconds(1_442),
        role=workflow_role.without_policy_updates(),
        logs=sfn.LogOptions(destination=workflow_logs, level=sfn.LogLevel.ALL, include_execution_data=False),
        tracing_enabled=True,
    )
    for statuses in (["FAILED"], ["FAILED", "ABORTED", "TIMED_OUT"]):
        rule = events.Rule(
            stack,
            f"{name}{len(statuses)}",
            event_pattern=events.EventPattern(source=["aws.states"], detail={"status": statuses}),
        )
        if len(statuses) > 1:
            rule.add_target(targets.LambdaFunction(function))
    return workflow


def deliveries(stack: cdk.Stack, tenant: str, interpreters: dict[str, agentcore.CodeInterpreterCustom]) -> None:
    group = logs.LogGroup(stack, "UsageLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=DESTROY)
    destinations = {
        "USAGE_LOGS": logs.CfnDeliveryDestination(
            stack,
            "Usage",
            name=f"flat-{tenant}-usage",
            delivery_destination_type="CWL",
            destination_resource_arn=group.log_group_arn,
            output_format="json",
        ),
        "TRACES": logs.CfnDeliveryDestination(
            stack, "Traces", name=f"flat-{tenant}-traces", delivery_destination_type="XRAY"
        ),
    }
    for log_type, destination in destinations.items():
        for key, interpreter in interpreters.items():
            source = logs.CfnDeliverySource(
                stack,
                f"{log_type}-{key}-Source",
                name=f"flat-{tenant}-{key}-{log_type}",
                log_type=log_type,
                resource_arn=interpreter.code_interpreter_arn,
            )
            logs.CfnDelivery(
                stack,
                f"{log_type}-{key}",
                delivery_source_name=source.ref,
                delivery_destination_arn=destination.attr_arn,
            )


def session_stopper(
    stack: cdk.Stack, interpreters: dict[str, agentcore.CodeInterpreterCustom]
) -> list[cdk.CustomResource]:
    log_group = logs.LogGroup(stack, "StopperLogs", retention=logs.RetentionDays.ONE_MONTH, removal_policy=DESTROY)
    role = iam.Role(stack, "StopperRole", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    log_group.grant_write(role)
    function = lambda_.Function(
        stack,
        "Stopper",
        runtime=lambda_.Runtime.PYTHON_3_14,
        architecture=lambda_.Architecture.ARM_64,
        handler="code_runner.custom_resources.session_stopper.handle",
        code=lambda_.Code.from_asset(DIRECTORY, asset_hash="flat"),
        role=role,
        memory_size=256,
        timeout=cdk.Duration.seconds(300),
        log_group=log_group,
    )
    entries: list[cdk.CustomResource] = []
    for key, interpreter in interpreters.items():
        names = f"arn:aws:bedrock-agentcore:eu-west-1:111122223333:code-interpreter-custom/big_{key}_????????"
        actions = ["bedrock-agentcore:ListCodeInterpreterSessions", "bedrock-agentcore:StopCodeInterpreterSession"]
        grant = iam.Policy(
            stack,
            f"StopperGrant-{key}",
            roles=[role],
            statements=[iam.PolicyStatement(actions=actions, resources=[names])],
        )
        entry = cdk.CustomResource(
            stack,
            f"LiveSessions-{key}",
            service_token=function.function_arn,
            resource_type="Custom::SandpiperLiveSessions",
            properties={"InterpreterId": interpreter.code_interpreter_id},
        )
        entry.node.add_dependency(grant)
        entries.append(entry)
    return entries


def dashboard(
    stack: cdk.Stack,
    tenant: str,
    workflow: sfn.StateMachine,
    interpreters: dict[str, agentcore.CodeInterpreterCustom],
    alarms: list[cloudwatch.Alarm],
) -> None:
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
                    workflow.metric_aborted(),
                ],
            ),
            cloudwatch.GraphWidget(title="Time", left=[workflow.metric_time()]),
            cloudwatch.GraphWidget(title="Runs", left=[run_metric(tenant, name) for name in RUN_METRICS]),
        ],
    ]
    for interpreter in interpreters.values():
        rows.append(
            [
                cloudwatch.GraphWidget(
                    title=title,
                    left=[
                        agentcore_metric(interpreter, "Operation", operation, name)
                        for name in names
                        for operation in OPERATIONS
                    ],
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
                    agentcore_metric(one, "Service", "AgentCore.CodeInterpreter", name) for one in interpreters.values()
                ],
            )
            for name in ("CPUUsed-vCPUHours", "MemoryUsed-GBHours")
        ]
    )
    cloudwatch.Dashboard(stack, "Dashboard", widgets=rows)


def agentcore_metric(
    interpreter: agentcore.CodeInterpreterCustom, dimension: str, value: str, name: str
) -> cloudwatch.Metric:
    return cloudwatch.Metric(
        namespace="AWS/Bedrock-AgentCore",
        metric_name=name,
        dimensions_map={"Resource": interpreter.code_interpreter_arn, dimension: value},
        statistic="Sum",
        label=f"{value} {name}",
    )


for each in TENANTS:
    tenant_stack(each)
cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
app.synth()
