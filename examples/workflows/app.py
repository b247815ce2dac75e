"""Custom workflows with a session function: `cdk deploy --app "python examples/workflows/app.py"`."""

from __future__ import annotations

import aws_cdk as cdk
import cdk_nag
from aws_cdk import aws_stepfunctions as sfn

from batch import batch
from connector import connector
from long_command import MAX_LIFETIME_SECONDS, long_command
from one_session import one_session
from sandpiper_constructs.bucket_folder import BucketFolder
from sandpiper_constructs.data_bucket import DataBucket
from sandpiper_constructs.interpreter import CodeInterpreter
from sandpiper_constructs.session_function import SessionFunction
from sandpiper_constructs.session_workflow import SessionWorkflow
from sandpiper_contract.requests import DEFAULT_SESSION_TIMEOUT_SECONDS
from sandpiper_contract.settings import SANDBOX

NAME = "workflow-examples"
WORKFLOWS = {
    "batch": (batch, 10_800),
    "connector": (connector, 3_600),
    "long-command": (long_command, MAX_LIFETIME_SECONDS + 3_600),
    "one-session": (one_session, 7_200),
}
"""The function that creates the states of each workflow, and its timeout in seconds."""


class WorkflowExamples(cdk.Stack):
    """A bucket, an interpreter, a session function and the workflows."""

    def __init__(self, scope: cdk.App) -> None:
        super().__init__(scope, NAME)
        data = DataBucket(self, "DataBucket", name=f"{NAME}-{self.account}-{self.region}", retain=False)
        folder = BucketFolder(bucket=data.bucket, path=f"tenants/{NAME}")
        key = "sandbox"
        own = folder.subfolder(SANDBOX).subfolder(key)
        interpreter = CodeInterpreter(self, "Interpreter", name_prefix="workflow_examples", folder=own)
        function = SessionFunction(
            self,
            "SessionFunction",
            service=NAME,
            interpreters={key: interpreter},
            folder=folder,
            # By default, a session may last an hour.
            session_seconds={key: (DEFAULT_SESSION_TIMEOUT_SECONDS, MAX_LIFETIME_SECONDS)},
        )
        for name, (states, seconds) in WORKFLOWS.items():
            workflow = SessionWorkflow(
                self,
                name,
                name=f"{NAME}-{name}",
                session_function=function,
                states=lambda scope, states=states: states(scope, function),
                timeout_seconds=seconds,
                query_language=sfn.QueryLanguage.JSONATA,
            )
            output = "".join(map(str.capitalize, name.split("-")))
            cdk.CfnOutput(self, f"{output}Arn", value=workflow.state_machine.state_machine_arn)
        cdk.CfnOutput(self, "InterpreterId", value=interpreter.interpreter_id)


if __name__ == "__main__":
    app = cdk.App(analytics_reporting=False)
    WorkflowExamples(app)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
