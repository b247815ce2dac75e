"""The known paths of privilege escalation, as a table.

Sources: pathfinding.cloud, Prowler's check iam_policy_allows_privilege_escalation, the catalogue of iamprover, and
"AWS IAM Privilege Escalation Methods" of Rhino Security Labs, in the order of their publication.
"""

from __future__ import annotations

from dataclasses import dataclass

PATHFINDING = "https://pathfinding.cloud/paths/"
CREATE_INTERPRETER = "bedrock-agentcore:CreateCodeInterpreter"
START, INVOKE = "bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"
PASS_ROLE = "iam:PassRole"  # noqa: S105 - the name of an action


@dataclass(frozen=True)
class Escalation:
    """A combination of actions that gives an identity the permissions of another one.

    Attributes:
        name: Its name in reports.
        actions: The actions, all of which are required.
        service: For combinations with iam:PassRole, the service that the role is passed to; otherwise empty.
        any_resource: Whether the combination counts only when each statement has a wildcard as its resource. A grant on
            one named resource is an edge of the graph instead.
    """

    name: str
    actions: tuple[str, ...]
    service: str = ""
    any_resource: bool = False


PASSING = tuple(
    Escalation(name, (PASS_ROLE, *actions.split()), f"{service}.amazonaws.com")
    for name, service, actions in (
        (
            "bedrock-001: create an interpreter with a role and run code in it",
            "bedrock-agentcore",
            f"{CREATE_INTERPRETER} {START} {INVOKE}",
        ),
        ("create an agent runtime with a role", "bedrock-agentcore", "bedrock-agentcore:CreateAgentRuntime"),
        ("create a function with a role and invoke it", "lambda", "lambda:CreateFunction lambda:InvokeFunction"),
        (
            "create a function with a role and an event source",
            "lambda",
            "lambda:CreateFunction lambda:CreateEventSourceMapping",
        ),
        ("create a function with a role and open it", "lambda", "lambda:CreateFunction lambda:AddPermission"),
        (
            "give a function another role and a layer with code",
            "lambda",
            "lambda:UpdateFunctionConfiguration",
        ),
        (
            "create a state machine with a role and start it",
            "states",
            "states:CreateStateMachine states:StartExecution",
        ),
        (
            "update a state machine with another role and start it",
            "states",
            "states:UpdateStateMachine states:StartExecution",
        ),
        ("create a schedule with a role", "scheduler", "scheduler:CreateSchedule"),
        ("create a stack with a role", "cloudformation", "cloudformation:CreateStack"),
        ("update a stack with a role", "cloudformation", "cloudformation:UpdateStack"),
        (
            "execute a change set with a role",
            "cloudformation",
            "cloudformation:CreateChangeSet cloudformation:ExecuteChangeSet",
        ),
        ("start an instance with a role", "ec2", "ec2:RunInstances"),
        ("run a container with a role", "ecs-tasks", "ecs:RegisterTaskDefinition ecs:RunTask"),
        ("run a container as a service with a role", "ecs-tasks", "ecs:RegisterTaskDefinition ecs:CreateService"),
        ("create a Glue development endpoint with a role", "glue", "glue:CreateDevEndpoint"),
        ("create a Glue job with a role", "glue", "glue:CreateJob glue:StartJobRun"),
        ("update a Glue job with a role", "glue", "glue:UpdateJob glue:StartJobRun"),
        ("create a build with a role", "codebuild", "codebuild:CreateProject codebuild:StartBuild"),
        ("create a notebook with a role", "sagemaker", "sagemaker:CreateNotebookInstance"),
        ("create a training job with a role", "sagemaker", "sagemaker:CreateTrainingJob"),
        ("create a processing job with a role", "sagemaker", "sagemaker:CreateProcessingJob"),
        (
            "create a data pipeline with a role",
            "datapipeline",
            "datapipeline:CreatePipeline datapipeline:PutPipelineDefinition",
        ),
        (
            "create a browser with a role and connect to it",
            "bedrock-agentcore",
            "bedrock-agentcore:CreateBrowser "
            "bedrock-agentcore:StartBrowserSession bedrock-agentcore:ConnectBrowserAutomationStream",
        ),
        (
            "create a stack set with a role",
            "cloudformation",
            "cloudformation:CreateStackSet cloudformation:CreateStackInstances",
        ),
        ("update a stack set with a role", "cloudformation", "cloudformation:UpdateStackSet"),
        ("request a spot instance with a role", "ec2", "ec2:RequestSpotInstances"),
        (
            "create a group of instances with a role",
            "ec2",
            "autoscaling:CreateLaunchConfiguration autoscaling:CreateAutoScalingGroup",
        ),
        (
            "update a group of instances with a role",
            "ec2",
            "autoscaling:CreateLaunchConfiguration autoscaling:UpdateAutoScalingGroup",
        ),
        (
            "build an image with a role",
            "ec2",
            "imagebuilder:CreateComponent imagebuilder:CreateImageRecipe "
            "imagebuilder:CreateInfrastructureConfiguration imagebuilder:CreateImage",
        ),
        ("run an existing container with another role", "ecs-tasks", "ecs:RunTask"),
        ("start an existing container with another role", "ecs-tasks", "ecs:StartTask"),
        ("submit a batch job with a role", "ecs-tasks", "batch:RegisterJobDefinition batch:SubmitJob"),
        ("create a Glue job with a role and a trigger", "glue", "glue:CreateJob glue:CreateTrigger"),
        ("update a Glue job with a role and a trigger", "glue", "glue:UpdateJob glue:CreateTrigger"),
        ("create a Glue session with a role and run a statement", "glue", "glue:CreateSession glue:RunStatement"),
        ("create a batch of builds with a role", "codebuild", "codebuild:CreateProject codebuild:StartBuildBatch"),
        ("create a cluster with a role", "elasticmapreduce", "elasticmapreduce:RunJobFlow"),
        (
            "create an EMR application and run a job with a role",
            "emr-serverless",
            "emr-serverless:CreateApplication emr-serverless:StartJobRun",
        ),
        (
            "create an analytics application with a role",
            "kinesisanalytics",
            "kinesisanalytics:CreateApplication kinesisanalytics:StartApplication",
        ),
        ("create a quantum job with a role", "braket", "braket:CreateJob"),
        ("create a genomics workflow with a role", "omics", "omics:CreateWorkflow omics:StartRun"),
        (
            "create a fleet of game servers with a role",
            "gamelift",
            "gamelift:CreateBuild gamelift:RequestUploadCredentials gamelift:CreateFleet",
        ),
        ("give a role to users of an identity pool", "cognito-identity", "cognito-identity:SetIdentityPoolRoles"),
        ("create an automation with a role", "ssm", "ssm:StartAutomationExecution"),
        ("create an App Runner service with a role", "tasks.apprunner", "apprunner:CreateService"),
    )
)
"""A service of the identity's choice runs with a role that the identity passes."""
OWN_POLICIES = (
    Escalation("create a new version of a policy", ("iam:CreatePolicyVersion",)),
    Escalation("choose another version of a policy", ("iam:SetDefaultPolicyVersion",)),
    Escalation("create an access key of a user", ("iam:CreateAccessKey",)),
    Escalation("create a password of a user", ("iam:CreateLoginProfile",)),
    Escalation("change the password of a user", ("iam:UpdateLoginProfile",)),
    Escalation("attach a policy to a user", ("iam:AttachUserPolicy",)),
    Escalation("attach a policy to a group", ("iam:AttachGroupPolicy",)),
    Escalation("attach a policy to a role", ("iam:AttachRolePolicy",)),
    Escalation("write a policy of a user", ("iam:PutUserPolicy",)),
    Escalation("write a policy of a group", ("iam:PutGroupPolicy",)),
    Escalation("write a policy of a role", ("iam:PutRolePolicy",)),
    Escalation("add a user to a group", ("iam:AddUserToGroup",)),
    Escalation("change whom a role trusts", ("iam:UpdateAssumeRolePolicy",)),
    Escalation("attach a policy to a permission set", ("sso:AttachManagedPolicyToPermissionSet",)),
    Escalation("write a policy of a permission set", ("sso:PutInlinePolicyToPermissionSet",)),
    Escalation("remove the boundary of a role", ("iam:DeleteRolePermissionsBoundary",)),
    Escalation("remove the boundary of a user", ("iam:DeleteUserPermissionsBoundary",)),
)
"""An identity changes what it or another identity may do. Each is a finding on any resource."""
CODE = (
    Escalation("replace the code of any function", ("lambda:UpdateFunctionCode",), any_resource=True),
    Escalation("add a layer to any function", ("lambda:UpdateFunctionConfiguration",), any_resource=True),
    Escalation("replace any state machine", ("states:UpdateStateMachine",), any_resource=True),
    Escalation("run commands on any instance", ("ssm:SendCommand",), any_resource=True),
    Escalation("open a shell on any instance", ("ssm:StartSession",), any_resource=True),
    Escalation(
        "open a shell on any instance with a key", ("ec2-instance-connect:SendSSHPublicKey",), any_resource=True
    ),
    Escalation("open any notebook", ("sagemaker:CreatePresignedNotebookInstanceUrl",), any_resource=True),
    Escalation("open any Glue development endpoint", ("glue:UpdateDevEndpoint",), any_resource=True),
    Escalation(
        "replace the start script of any instance",
        (
            "ec2:ModifyInstanceAttribute",
            "ec2:StopInstances",
            "ec2:StartInstances",
        ),
        any_resource=True,
    ),
    Escalation(
        "replace any launch template",
        (
            "ec2:CreateLaunchTemplateVersion",
            "ec2:ModifyLaunchTemplate",
        ),
        any_resource=True,
    ),
    Escalation("run commands in any container", ("ecs:ExecuteCommand",), any_resource=True),
    Escalation(
        "run commands in any agent runtime", ("bedrock-agentcore:InvokeAgentRuntimeCommand",), any_resource=True
    ),
    Escalation(
        "connect to any browser",
        (
            "bedrock-agentcore:StartBrowserSession",
            "bedrock-agentcore:ConnectBrowserAutomationStream",
        ),
        any_resource=True,
    ),
    Escalation(
        "replace the start script of any notebook",
        (
            "sagemaker:CreateNotebookInstanceLifecycleConfig",
            "sagemaker:UpdateNotebookInstance",
            "sagemaker:StopNotebookInstance",
            "sagemaker:StartNotebookInstance",
        ),
        any_resource=True,
    ),
    Escalation("replace any App Runner service", ("apprunner:UpdateService",), any_resource=True),
    Escalation("start any build with other commands", ("codebuild:StartBuild",), any_resource=True),
    Escalation("start any batch of builds with other commands", ("codebuild:StartBuildBatch",), any_resource=True),
    Escalation("submit any batch job with other commands", ("batch:SubmitJob",), any_resource=True),
    Escalation(
        "deploy a revision to any application",
        (
            "codedeploy:RegisterApplicationRevision",
            "codedeploy:CreateDeployment",
        ),
        any_resource=True,
    ),
    Escalation("update any stack", ("cloudformation:UpdateStack",), any_resource=True),
    Escalation(
        "update any stack by a change set",
        ("cloudformation:CreateChangeSet", "cloudformation:ExecuteChangeSet"),
        any_resource=True,
    ),
    Escalation("replace any build", ("codebuild:UpdateProject", "codebuild:StartBuild"), any_resource=True),
    Escalation("assume any role that trusts the account", ("sts:AssumeRole",), any_resource=True),
    Escalation("replace the policy of any key", ("kms:PutKeyPolicy",), any_resource=True),
    Escalation("give away any key", ("kms:CreateGrant",), any_resource=True),
    Escalation("replace the policy of any bucket", ("s3:PutBucketPolicy",), any_resource=True),
)
"""An identity changes a program or a policy of its choice."""
ALL_ACTIONS = tuple(dict.fromkeys(action for one in (*PASSING, *OWN_POLICIES, *CODE) for action in one.actions))
