"""The stack of a tenant: function, workflow, alarms, dashboard and outputs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import aws_cdk as cdk
import cdk_nag
import pytest

from sandpiper.environment import Environment, SandboxInterpreter, SessionFunctionOptions, SessionLimits, Tenant
from sandpiper_constructs.alarm_table import Team
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.session_function import SessionFunction
from sandpiper_constructs.template_text import template_text
from sandpiper_contract.errors import ERRORS, RETRYABLE
from stacks.environment_stacks import add_stacks
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import new_app, read_assembly, states_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.assemblies import Assembly, Template

INTERPRETER = "AWS::BedrockAgentCore::CodeInterpreterCustom"


@pytest.fixture(scope="session")
def demo(local: Assembly) -> Template:
    return local["sandpiper-local-demo"]


def session_function_of(template: Template) -> dict[str, Any]:
    """Returns the session function. The template also contains the session stopper."""
    functions = template.resources("AWS::Lambda::Function").values()
    (function,) = (each for each in functions if each["Handler"] == "code_runner.handlers.run_operation")
    return function


def test_tenants_depend_on_the_storage_and_import_nothing_from_it(dev: Assembly) -> None:
    for tenant in ("claims", "analytics"):
        artifact = dev.manifest["artifacts"][f"sandpiper-dev-{tenant}"]
        assert "sandpiper-dev-storage" in artifact["dependencies"]
    for template in dev.templates.values():
        assert "Fn::ImportValue" not in json.dumps(template.content)
        assert not any("Export" in output for output in template.content.get("Outputs", {}).values())


@pytest.mark.parametrize(
    ("environment", "tenant", "deletion", "replacement", "count"),
    [("dev", "claims", "RetainExceptOnCreate", "Retain", 5), ("local", "demo", "Delete", "Delete", 8)],
)
def test_logs_outlive_their_tenant_unless_the_environment_retains_nothing(
    assemblies: dict[str, Assembly], environment: str, tenant: str, deletion: str, replacement: str, count: int
) -> None:
    resources = assemblies[environment][f"sandpiper-{environment}-{tenant}"].content["Resources"].values()
    groups = [each for each in resources if each["Type"] == "AWS::Logs::LogGroup"]
    assert [(each["DeletionPolicy"], each["UpdateReplacePolicy"]) for each in groups] == [
        (deletion, replacement)
    ] * count
    # A retained group must not have the name of a group of the tenant's next stack.
    names = [json.dumps(each["Properties"].get("LogGroupName", "AWS::StackId")) for each in groups]
    assert all("AWS::StackId" in name for name in names)


@pytest.mark.parametrize(("environment", "protected"), [("dev", True), ("local", None)])
def test_termination_protection_follows_the_environment(
    assemblies: dict[str, Assembly], environment: str, protected: bool | None
) -> None:
    stacks = [
        artifact["properties"]
        for artifact in assemblies[environment].manifest["artifacts"].values()
        if artifact["type"] == "aws:cloudformation:stack"
    ]
    assert {stack.get("terminationProtection") or None for stack in stacks} == {protected}


def test_every_stack_has_a_description(dev: Assembly) -> None:
    assert {name: template.content["Description"] for name, template in dev.templates.items()} == {
        "sandpiper-dev-storage": "Sandpiper dev: data of all tenants",
        "sandpiper-dev-claims": "Sandpiper dev: code interpreters of tenant claims",
        "sandpiper-dev-analytics": "Sandpiper dev: code interpreters of tenant analytics",
        "sandpiper-dev-fleet": "Sandpiper dev: monitoring of all tenants",
    }


def test_outputs_match_what_the_cli_reads(demo: Template) -> None:
    outputs = {name: template_text(output["Value"]) for name, output in demo.content["Outputs"].items()}
    assert set(outputs) == {
        "RunCodeStateMachineArn",
        "RunBatchStateMachineArn",
        "RunCodeExpressStateMachineArn",
        "RunCommandStateMachineArn",
        "RunSessionStateMachineArn",
        "DataBucketName",
        "DataPrefix",
        "Interpreters",
        "SessionFunctionName",
        "DashboardName",
        "MaxBatchConcurrency",
    }
    assert outputs["MaxBatchConcurrency"] == "9", "one of the reserved invocations prepares and stops batches"
    assert outputs["DataBucketName"] == "sandpiper-local-123456789012-us-east-1"
    assert outputs["DataPrefix"] == "tenants/demo"
    assert list(json.loads(outputs["Interpreters"])) == ["sandbox", "public"]


def test_function_environment_has_the_default_interpreter_first(demo: Template) -> None:
    function = session_function_of(demo)
    variables = function["Environment"]["Variables"]
    assert variables["SANDPIPER_BUCKET"] == "sandpiper-local-123456789012-us-east-1"
    assert variables["SANDPIPER_PREFIX"] == "tenants/demo"
    assert list(json.loads(template_text(variables["SANDPIPER_INTERPRETERS"]))) == ["sandbox", "public"]
    assert variables["POWERTOOLS_SERVICE_NAME"] == "sandpiper-local-demo"
    assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "Sandpiper"
    assert function["Handler"] == "code_runner.handlers.run_operation"
    assert function["Architectures"] == ["arm64"]


def test_function_has_the_memory_and_concurrency_of_the_environment(dev: Assembly) -> None:
    analytics = session_function_of(dev["sandpiper-dev-analytics"])
    claims = session_function_of(dev["sandpiper-dev-claims"])
    assert (analytics["MemorySize"], analytics["ReservedConcurrentExecutions"]) == (1024, 20)
    assert (claims["MemorySize"], claims.get("ReservedConcurrentExecutions")) == (512, None)


def test_deletion_order_is_session_starters_then_stopper_then_interpreters(demo: Template) -> None:
    resources = demo.content["Resources"]
    entries = {name: each for name, each in resources.items() if each["Type"] == "Custom::SandpiperLiveSessions"}
    assert len(entries) == 2
    (function,) = (
        each
        for each in resources.values()
        if each["Type"] == "AWS::Lambda::Function" and "run_operation" in each["Properties"]["Handler"]
    )
    assert entries.keys() <= set(function["DependsOn"])
    interpreters = {each["Properties"]["InterpreterId"]["Fn::GetAtt"][0] for each in entries.values()}
    assert interpreters == demo.resources(INTERPRETER).keys()
    assert all(each["Properties"]["ServiceTimeout"] == "900" for each in entries.values())


def test_lambda_does_not_retry(demo: Template) -> None:
    assert demo.only("AWS::Lambda::EventInvokeConfig")["MaximumRetryAttempts"] == 0


def test_workflow_sends_the_operation_with_the_identity_of_the_run(demo: Template) -> None:
    states = states_of(demo, "run-code")
    assert states["States"][states["StartAt"]]["Arguments"] == {
        "operation": "run_code",
        "run": {
            "execution": "{% $states.context.Execution.Id %}",
            "state": "{% $states.context.State.Name %}",
            "started": "{% $states.context.Execution.StartTime %}",
            "entered": "{% $states.context.State.EnteredTime %}",
            "retry": "{% $states.context.State.RetryCount %}",
            "redrive": "{% $states.context.Execution.RedriveCount %}",
        },
        "request": "{% $states.input %}",
    }


def test_workflow_retries_only_errors_that_cannot_run_code_twice(demo: Template) -> None:
    (retry,) = states_of(demo, "run-code")["States"]["RunCode"]["Retry"]
    assert retry["ErrorEquals"] == [*RETRYABLE, "Lambda.TooManyRequestsException"]
    assert retry["JitterStrategy"] == "FULL"
    assert retry["MaxDelaySeconds"] == 60
    assert "SessionLost" not in retry["ErrorEquals"]


def test_failed_execution_has_the_error_and_the_cause(demo: Template) -> None:
    states = states_of(demo, "run-code")["States"]
    named, others = states["RunCode"]["Catch"]
    assert (set(named["ErrorEquals"]), named["Next"]) == (set(ERRORS), "Failed")
    assert (others["ErrorEquals"], others["Next"]) == (["States.ALL"], "Stop sessions")
    assert states["Stop sessions"]["Next"] == "Failed"
    assert named["Assign"] == others["Assign"] == {"failure": "{% $states.errorOutput %}"}
    failed = states["Failed"]
    cause = "{% $exists($failure.Cause) ? $failure.Cause : '' %}"
    assert (failed["Error"], failed["Cause"]) == ("{% $failure.Error %}", cause)


def test_timeouts_increase_from_function_to_task_to_workflow(demo: Template) -> None:
    states = states_of(demo, "run-code")
    task = states["States"]["RunCode"]["TimeoutSeconds"]
    assert session_function_of(demo)["Timeout"] < task < states["TimeoutSeconds"]


def test_execution_logs_contain_no_data(demo: Template) -> None:
    for machine in demo.resources("AWS::StepFunctions::StateMachine").values():
        assert machine["LoggingConfiguration"]["Level"] == "ALL"
        assert machine["LoggingConfiguration"]["IncludeExecutionData"] is False
        assert machine["TracingConfiguration"] == {"Enabled": True}


def test_alarms_have_the_thresholds_of_the_environment(dev: Assembly) -> None:
    alarms = {
        alarm["AlarmName"]: alarm
        for alarm in dev["sandpiper-dev-analytics"].resources("AWS::CloudWatch::Alarm").values()
    }
    errors_alarm = alarms["sandpiper-dev-analytics-errors"]
    throttles_alarm = alarms["sandpiper-dev-analytics-throttles"]
    assert (errors_alarm["Namespace"], errors_alarm["MetricName"]) == ("AWS/Events", "MatchedEvents")
    assert errors_alarm["Threshold"] == 3
    assert (throttles_alarm["Namespace"], throttles_alarm["MetricName"]) == ("Sandpiper", "Throttled")
    assert throttles_alarm["Dimensions"] == [{"Name": "service", "Value": "sandpiper-dev-analytics"}]
    for alarm in alarms.values():
        assert alarm["TreatMissingData"] == "notBreaching"


def test_every_alarm_is_on_the_dashboard(demo: Template) -> None:
    body = json.loads(template_text(demo.only("AWS::CloudWatch::Dashboard")["DashboardBody"]))
    shown_alarms = {
        arn for widget in body["widgets"] if widget["type"] == "alarm" for arn in widget["properties"]["alarms"]
    }
    alarms = demo.resources("AWS::CloudWatch::Alarm") | demo.resources("AWS::CloudWatch::CompositeAlarm")
    assert {arn.rpartition(":alarm:")[2] for arn in shown_alarms} == {each["AlarmName"] for each in alarms.values()}


def test_dashboard_uses_the_dimensions_of_agentcore(demo: Template) -> None:
    body = json.loads(template_text(demo.only("AWS::CloudWatch::Dashboard")["DashboardBody"]))
    lines = [line for widget in body["widgets"] for line in widget["properties"].get("metrics", [])]
    agentcore = [line for line in lines if line[0] == "AWS/Bedrock-AgentCore"]
    dimensions = {line[1]: set(line[2:-1:2]) for line in agentcore}
    by_operation = {"Resource", "Operation"}
    by_service = {"Resource", "Service"}
    assert dimensions == {
        "Invocations": by_operation,
        "Duration": by_operation,
        "Latency": by_operation,
        "Throttles": by_operation,
        "UserErrors": by_operation,
        "SystemErrors": by_operation,
        "CPUUsed-vCPUHours": by_service,
        "MemoryUsed-GBHours": by_service,
    }


@pytest.mark.parametrize(
    ("options", "message"), [({"interpreters": {}}, "interpreters is empty"), ({"timeout_seconds": 901}, "901")]
)
def test_session_function_rejects_invalid_options_before_the_first_resource(
    options: dict[str, Any], message: str
) -> None:
    stack = cdk.Stack()
    bucket = cdk.aws_s3.Bucket.from_bucket_name(stack, "Bucket", "data")
    folder = BucketFolder(bucket=bucket, path="tenants/one")
    arguments: dict[str, Any] = {"interpreters": {"one": object()}, **options}
    with pytest.raises(ValueError, match=message):
        SessionFunction(stack, "Function", service="one", folder=folder, **arguments)
    assert [child.node.id for child in stack.node.children] == ["Bucket"]


def _environment(**options: Any) -> Environment:
    tenants = {"demo": Tenant(interpreters={"sandbox": SandboxInterpreter()})}
    arguments: dict[str, Any] = {
        "name": "one",
        "account": ACCOUNT,
        "region": REGION,
        "owner": "tests",
        "tenants": tenants,
    }
    return Environment(**{**arguments, **options})


def _alarms(directory: Path) -> list[dict[str, Any]]:
    """Returns all alarms of the tenant that notify by themselves."""
    template = read_assembly(directory)["sandpiper-one-demo"]
    alarms = template.resources("AWS::CloudWatch::Alarm") | template.resources("AWS::CloudWatch::CompositeAlarm")
    rules = "".join(alarm.get("AlarmRule", "") for alarm in alarms.values())
    return [alarm for alarm in alarms.values() if f'"{alarm["AlarmName"]}"' not in rules]


def test_every_alarm_without_a_group_notifies_the_alarm_topic(tmp_path: Path) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:alarms"
    app = new_app(tmp_path)
    add_stacks(app, _environment(alarm_topic_arn=topic))
    app.synth()
    alarms = _alarms(tmp_path)
    assert len(alarms) >= 8
    assert all((alarm["AlarmActions"], alarm["OKActions"]) == ([topic], [topic]) for alarm in alarms)


@pytest.mark.parametrize(
    ("own", "notified"),
    [({}, "owners"), ({"alarm_topic_arn": "arn:aws:sns:us-east-1:123456789012:claims"}, "claims")],
    ids=["all tenants", "own topic"],
)
def test_alarms_of_the_owner_notify_the_topic_of_owners(tmp_path: Path, own: dict[str, str], notified: str) -> None:
    topic = "arn:aws:sns:us-east-1:123456789012:"
    tenant = Tenant.model_validate({"interpreters": {"sandbox": {}}, **own})
    app = new_app(tmp_path)
    options = {"alarm_topic_arn": f"{topic}platform", "tenant_alarm_topic_arn": f"{topic}owners"}
    add_stacks(app, _environment(**options, tenants={"demo": tenant}))
    app.synth()
    alarms = _alarms(tmp_path)
    for alarm in alarms:
        is_for_owner = f"For the {Team.OWNER}." in alarm["AlarmDescription"]
        expected = [f"{topic}{notified}" if is_for_owner else f"{topic}platform"]
        assert (alarm["AlarmActions"], alarm["OKActions"]) == (expected, expected)
    assert sum(f"For the {Team.OWNER}." in alarm["AlarmDescription"] for alarm in alarms) > 0


@pytest.mark.parametrize(
    "options", [{}, {"approval_topic_arn": "arn:aws:sns:us-east-1:123456789012:approvals"}], ids=str
)
def test_approvals_notify_their_own_topic_or_that_of_alarms(tmp_path: Path, options: dict[str, str]) -> None:
    alarms = "arn:aws:sns:us-east-1:123456789012:alarms"
    tenant = Tenant.model_validate({"interpreters": {"sandbox": {}}, "workflows": {"run-session": {}}})
    app = new_app(tmp_path)
    add_stacks(app, _environment(alarm_topic_arn=alarms, tenants={"demo": tenant}, **options))
    app.synth()
    assembly = read_assembly(tmp_path)["sandpiper-one-demo"]
    topic = options.get("approval_topic_arn", alarms)
    machines = assembly.resources("AWS::StepFunctions::StateMachine").values()
    asked = [json.dumps(each) for each in machines if "Ask for approval" in json.dumps(each)]
    assert [topic in text for text in asked] == [True]
    assert asked[0].count("--environment one --tenant demo") == 2
    published = [
        statement["Resource"]
        for role in assembly.resources("AWS::IAM::Role").values()
        for policy in role.get("Policies", [])
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Action"] == "sns:Publish"
    ]
    assert published == [topic]


def _workflows(directory: Path, workflows: Any) -> list[str]:
    app = new_app(directory)
    tenant = Tenant.model_validate({"interpreters": {"sandbox": {}}, "workflows": workflows})
    add_stacks(app, _environment(tenants={"demo": tenant}))
    app.synth()
    machines = read_assembly(directory)["sandpiper-one-demo"].resources("AWS::StepFunctions::StateMachine").values()
    return sorted(machine["StateMachineName"].removeprefix("sandpiper-one-demo-") for machine in machines)


def test_the_listed_workflows_are_deployed_and_run_code_in_any_case(tmp_path: Path) -> None:
    assert _workflows(tmp_path / "1", {"run-code": {}}) == ["run-code"]
    assert _workflows(tmp_path / "2", {"run-session": None, "run-code-express": {}}) == [
        "run-code",
        "run-code-express",
        "run-session",
    ]


def test_unknown_region_is_a_warning_without_unexplained_findings(tmp_path: Path) -> None:
    app = new_app(tmp_path)
    add_stacks(app, _environment(region="me-west-1"))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    warnings = (tmp_path / "sandpiper-one-fleet.metadata.json").read_text()
    assert "me-west-1 was not known to offer code interpreters" in warnings
    role = next(iter(read_assembly(tmp_path)["sandpiper-one-demo"].resources("AWS::IAM::Role").values()))
    assert "AWS::Partition" in json.dumps(role["Policies"]), "the CDK knows no partition for the region"


def test_session_function_has_the_properties_of_its_options(tmp_path: Path) -> None:
    options = SessionFunctionOptions(architecture="x86_64", runtime="python3.12", log_level="WARNING")
    tenant = Tenant(interpreters={"sandbox": SandboxInterpreter()}, session_function=options)
    app = new_app(tmp_path)
    add_stacks(app, _environment(tenants={"demo": tenant}))
    app.synth()
    function = session_function_of(read_assembly(tmp_path)["sandpiper-one-demo"])
    assert (function["Architectures"], function["Runtime"]) == (["x86_64"], "python3.12")
    assert function["Environment"]["Variables"]["POWERTOOLS_LOG_LEVEL"] == "WARNING"


def test_interpreter_has_the_options_of_the_environment_and_no_finding(tmp_path: Path) -> None:
    secret = "arn:aws:secretsmanager:us-east-1:123456789012:secret:roots-AbCdEf"  # noqa: S105 - its ARN
    caller, stranger = f"arn:aws:iam::{ACCOUNT}:role/app/notebooks", "arn:aws:iam::999999999999:role/partner"
    role_arn = f"arn:aws:iam::{ACCOUNT}:role/theirs"
    vpc = {"subnets": ["subnet-0123456789abcdef0"], "security_groups": ["sg-0123456789abcdef0"]}
    interpreters: dict[str, Any] = {
        "own": {
            "read": ["s3://reference/tables/", {"uri": "s3://partner/in/", "account": "999999999999"}],
            "write": ["s3://reports/claims/"],
            "certificates": [secret],
            "callers": [caller, stranger],
        },
        "in-vpc": {"network": "VPC", **vpc, "execution_role": "none", "callers": [stranger]},
        "theirs": {"execution_role": role_arn},
    }
    app = new_app(tmp_path)
    add_stacks(app, _environment(tenants={"demo": {"interpreters": interpreters}}))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    template = read_assembly(tmp_path)["sandpiper-one-demo"]
    interpreters = {each["Name"].split("__")[2]: each for each in template.resources(INTERPRETER).values()}
    own, in_vpc, arguments = (
        next(each for name, each in interpreters.items() if name.startswith(key)) for key in ("own", "in_vpc", "theirs")
    )
    assert own["Certificates"] == [{"CertificateLocation": {"SecretArn": secret}}]
    assert in_vpc["NetworkConfiguration"]["VpcConfig"] == {
        "Subnets": vpc["subnets"],
        "SecurityGroups": vpc["security_groups"],
    }
    assert ("ExecutionRoleArn" in in_vpc, arguments["ExecutionRoleArn"]) == (False, role_arn)
    policies = {name: str(role.get("Policies")) for name, role in template.resources("AWS::IAM::Role").items()}
    (folders,) = (text for name, text in policies.items() if name.startswith("InterpreterownExecutionRole"))
    for part in ("reference/tables/*", "partner/in/*", "999999999999", "reports/claims/*", "sandbox/own/*"):
        assert part in folders
    assert {name for name in template.content["Outputs"] if name.startswith("Caller")} == {
        "CallerRoleOwn",
        "CallerRoleInVpc",
    }
    attached = [policy["Roles"] for policy in template.resources("AWS::IAM::Policy").values()]
    assert ["notebooks"] in attached


def test_session_limits_are_passed_to_the_function(tmp_path: Path) -> None:
    limits = SessionLimits(default_seconds=120, longest_seconds=600)
    tenant = Tenant(interpreters={"sandbox": SandboxInterpreter(), "short": SandboxInterpreter(session=limits)})
    app = new_app(tmp_path)
    add_stacks(app, _environment(tenants={"demo": tenant}))
    app.synth()
    functions = read_assembly(tmp_path)["sandpiper-one-demo"].resources("AWS::Lambda::Function").values()
    (variables,) = (
        each["Environment"]["Variables"]
        for each in functions
        if "SANDPIPER_INTERPRETERS" in each["Environment"]["Variables"]
    )
    assert json.loads(variables["SANDPIPER_SESSION_SECONDS"]) == {"short": [120, 600]}
