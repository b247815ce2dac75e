"""The agent on AgentCore Runtime, with the interpreter that runs its code and the bucket that keeps its figures.

The embedded AWS has no AgentCore Runtime, so this stack is synthesised and reviewed there, and deployed to AWS alone.
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
from sandpiper_constructs.nag_suppressions import acknowledge_wildcards
from sandpiper_constructs.principals import service_principal

if TYPE_CHECKING:
    from pathlib import Path

    from constructs import Construct

PYTHON = "PYTHON_3_13"
"""What `package` packs for."""
FIGURE_DAYS = 7
"""How long figures are kept; the links to them end after an hour."""
RUNTIME_NAME = "charting_agent"
LOG_GROUPS = "/aws/bedrock-agentcore/runtimes"


@dataclass(frozen=True, kw_only=True)
class InferenceProfile:
    """A cross-region inference profile of Bedrock: its id, and the regions that it may send a request to.

    https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
    """

    profile_id: str
    regions: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """The model behind it: its id without the name of the geography."""
        return self.profile_id.partition(".")[2]


class ChartingAgentStack(cdk.Stack):
    """A runtime whose role may ask one model, use one interpreter and keep figures in one folder."""

    def __init__(
        self, scope: Construct, name: str, *, account: str, region: str, model: InferenceProfile, package: Path
    ) -> None:
        """`package` is the folder that `package` made."""
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
        # Its code gets no folder: the agent reads figures from the session and puts them into S3 itself.
        interpreter = CodeInterpreter(
            self, "Interpreter", name_prefix=RUNTIME_NAME, description="Runs the code of the charting agent"
        )
        code = assets.Asset(self, "Package", path=str(package))

        role = _role(self, figures, model, code)
        interpreter.grant_run(role)
        # The L2 construct would let the role read all assets of the account, so this is its resource alone.
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
            # The agent itself runs nobody's code, and calls Bedrock, AgentCore and S3, over their public endpoints.
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
    """What the agent acts with. A runtime's name holds no hyphen, so `NAME-*` is this runtime and its endpoints.

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
    # Reading is for the links, which are as good as their signer.
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
    its_logs = "The service names the log group by the runtime's id, which is known only when the runtime is there."
    acknowledge_wildcards(
        role,
        {
            figures.objects_arn: "Every figure gets a key of its own, in the folder that holds nothing but figures.",
            log_group: its_logs,
            log_streams: its_logs,
            all_log_groups: "The runtime looks for its log group by listing names, which IAM cannot narrow to one.",
        },
    )
    return role


def _model_statements(stack: cdk.Stack, model: InferenceProfile) -> list[iam.PolicyStatement]:
    """The profile, and through it alone the model in each of its regions. A stream of answers needs this one action.

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
    through_it = {"StringEquals": {"bedrock:InferenceProfileArn": profile}}
    return [
        iam.PolicyStatement(actions=[action], resources=[profile]),
        iam.PolicyStatement(actions=[action], resources=models, conditions=through_it),
    ]


def _log_groups(stack: cdk.Stack, name: str) -> str:
    return stack.format_arn(
        service="logs", resource="log-group", resource_name=name, arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME
    )
