"""The stack of the agent: an AgentCore Runtime, an interpreter for its code and a bucket for its figures.

The embedded AWS does not support AgentCore Runtime. The stack can only be deployed to AWS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import aws_cdk as cdk
from aws_cdk import aws_bedrockagentcore as agentcore
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3_assets as assets

from charting_agent import settings
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.data_bucket import DataBucket
from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.nag_suppressions import accept_policies
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from pathlib import Path

    from constructs import Construct

PYTHON = "PYTHON_3_13"
"""The runtime that `package` builds for."""
FIGURE_DAYS = 7
"""Retention of figures in days. Links to them expire after an hour."""
RUNTIME_NAME = "charting_agent"
LOG_GROUPS = "/aws/bedrock-agentcore/runtimes"


@dataclass(frozen=True, kw_only=True)
class InferenceProfile:
    """A cross-Region inference profile of Bedrock: its identifier, and the Regions that it routes requests to.

    https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
    """

    profile_id: str
    regions: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """The identifier of the model: the profile's identifier without the geography."""
        return self.profile_id.partition(".")[2]


class ChartingAgentStack(cdk.Stack):
    """A runtime whose role can invoke one model, use one interpreter and store figures in one folder."""

    def __init__(
        self, scope: Construct, name: str, *, account: str, region: str, model: InferenceProfile, package: Path
    ) -> None:
        """Creates the stack. `package` is the folder that the script `package` creates."""
        super().__init__(
            scope,
            name,
            env=cdk.Environment(account=account, region=region),
            description="A Strands agent that charts with code, on AgentCore Runtime",
        )
        bucket = DataBucket(
            self, "Figures", name=f"{name}-{account}-{region}", expiration_days={settings.DEFAULT_FOLDER: FIGURE_DAYS}
        ).bucket
        figures = BucketFolder(bucket=bucket, path=settings.DEFAULT_FOLDER)
        # The interpreter has no access to S3: the agent reads figures from the session and stores them in S3 itself.
        interpreter = CodeInterpreter(
            self, "Interpreter", name_prefix=RUNTIME_NAME, description="Runs the code of the charting agent"
        )
        code = assets.Asset(self, "Package", path=str(package))

        role = _role(self, figures, model, code)
        interpreter.grant_run(role)
        # The L2 construct would grant the role read access to all assets of the account.
        runtime = agentcore.CfnRuntime(
            self,
            "Runtime",
            agent_runtime_name=RUNTIME_NAME,
            description="Answers questions about data with code, charts and links to them",
            agent_runtime_artifact=agentcore.CfnRuntime.AgentRuntimeArtifactProperty(
                code_configuration=agentcore.CfnRuntime.CodeConfigurationProperty(
                    code=agentcore.CfnRuntime.CodeProperty(
                        s3=agentcore.CfnRuntime.S3LocationProperty(
                            bucket=code.s3_bucket_name, prefix=code.s3_object_key
                        )
                    ),
                    entry_point=["main.py"],
                    runtime=PYTHON,
                )
            ),
            # The agent itself runs no user code. It calls the public endpoints of Bedrock, AgentCore and S3.
            network_configuration=agentcore.CfnRuntime.NetworkConfigurationProperty(network_mode="PUBLIC"),
            protocol_configuration="HTTP",
            role_arn=role.role_arn,
            environment_variables={
                settings.MODEL_ID: model.profile_id,
                settings.INTERPRETER_ID: interpreter.interpreter_id,
                settings.BUCKET: bucket.bucket_name,
                settings.FOLDER: figures.path,
            },
        )
        runtime.node.add_dependency(role)
        cdk.CfnOutput(self, "RuntimeArn", value=runtime.attr_agent_runtime_arn)
        cdk.CfnOutput(self, "BucketName", value=bucket.bucket_name)


def _role(stack: cdk.Stack, figures: BucketFolder, model: InferenceProfile, code: assets.Asset) -> iam.Role:
    """Returns the agent's role. Names of runtimes have no hyphen, so `NAME-*` matches this runtime and its endpoints.

    https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/runtime-permissions.html
    """
    runtimes = stack.format_arn(service="bedrock-agentcore", resource="runtime", resource_name=f"{RUNTIME_NAME}-*")
    role = iam.Role(
        stack,
        "Role",
        assumed_by=service_principal(
            "bedrock-agentcore",
            conditions={
                "StringEquals": {"aws:SourceAccount": stack.account},
                "ArnLike": {"aws:SourceArn": runtimes},
            },
        ),
        description="What the charting agent may do",
    )
    # Links have the permissions of the role that signs them, so the role needs to read the figures.
    role.add_to_policy(figures.object_statement("s3:GetObject", "s3:PutObject"))
    for statement in _model_statements(stack, model):
        role.add_to_policy(statement)
    role.add_to_policy(
        iam.PolicyStatement(
            actions=["s3:GetObject"],
            resources=[code.bucket.arn_for_objects(code.s3_object_key)],
            conditions={"StringEquals": {"aws:ResourceAccount": stack.account}},
        )
    )
    log_group = _log_groups(stack, f"{LOG_GROUPS}/{RUNTIME_NAME}-*")
    log_streams, all_log_groups = f"{log_group}:log-stream:*", _log_groups(stack, "*")
    for actions, resource in (
        (("logs:CreateLogGroup", "logs:DescribeLogStreams"), log_group),
        (("logs:CreateLogStream", "logs:PutLogEvents"), log_streams),
        (("logs:DescribeLogGroups",), all_log_groups),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=list(actions), resources=[resource]))
    log_reason = "The service names the log group after the runtime's identifier, which is unknown before deployment."
    accept_policies(
        role,
        {
            figures.objects_arn: "Every figure has a new key in a folder that contains only figures.",
            log_group: log_reason,
            log_streams: log_reason,
            all_log_groups: "The runtime finds its log group by listing names, which IAM cannot restrict to one.",
        },
    )
    return role


def _model_statements(stack: cdk.Stack, model: InferenceProfile) -> list[iam.PolicyStatement]:
    """Returns the grants for the profile, and through it only for the model in each of its Regions.

    https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
    https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html
    """
    action = "bedrock:InvokeModelWithResponseStream"
    profile = stack.format_arn(service="bedrock", resource="inference-profile", resource_name=model.profile_id)
    models = [
        stack.format_arn(
            service="bedrock", region=region, account="", resource="foundation-model", resource_name=model.model_id
        )
        for region in model.regions
    ]
    through_profile = {"StringEquals": {"bedrock:InferenceProfileArn": profile}}
    return [
        iam.PolicyStatement(actions=[action], resources=[profile]),
        iam.PolicyStatement(actions=[action], resources=models, conditions=through_profile),
    ]


def _log_groups(stack: cdk.Stack, name: str) -> str:
    return stack.format_arn(
        service="logs", resource="log-group", resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
