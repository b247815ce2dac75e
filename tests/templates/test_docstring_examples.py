"""The examples in the docstrings of the constructs can be synthesized."""

from __future__ import annotations

import datetime
import inspect
import re
import textwrap
from importlib import import_module
from typing import TYPE_CHECKING, Any

import sandpiper_constructs
from sandpiper_constructs.principals import service_principal
from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import new_app, read_assembly

if TYPE_CHECKING:
    from pathlib import Path

    import aws_cdk as cdk

WITHOUT_EXAMPLE = {"SANDBOX", "Operation", "OperationMetric", "Usage", "Thresholds"}
"""Public names that are no constructs: a constant, enumerations and plain data."""
FURTHER = {"alarms": ("Alarms", "AlarmSpec"), "audit_trail": ("AuditTrail",), "dns_firewall": ("DnsFirewall",)}
"""Documented classes that the package does not export, by module."""
EXAMPLES = [*sorted(set(sandpiper_constructs.__all__) - WITHOUT_EXAMPLE), "Alarms", "AuditTrail", "DnsFirewall"]


def _names(stack: cdk.Stack) -> dict[str, Any]:
    """Returns the names that the examples use."""
    import aws_cdk as cdk
    from aws_cdk import aws_ec2 as ec2
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_lambda as lambda_
    from aws_cdk import aws_s3 as s3
    from aws_cdk import aws_stepfunctions as sfn
    from constructs import Construct

    names = {name: getattr(sandpiper_constructs, name) for name in sandpiper_constructs.__all__}
    for module, classes in FURTHER.items():
        names |= {name: getattr(import_module(f"sandpiper_constructs.{module}"), name) for name in classes}
    names["live_sessions_metric"] = import_module("sandpiper_constructs.metrics").live_sessions_metric
    names["s3_names"] = import_module("sandpiper_constructs.dns_firewall").s3_names
    names["EventSelector"] = import_module("sandpiper_contract.audit").EventSelector
    names |= {"stack": stack, "datetime": datetime, "sfn": sfn, "CfnOutput": cdk.CfnOutput}

    examples = Construct(stack, "given")
    bucket = s3.Bucket(examples, "Bucket")
    folder = names["BucketFolder"](bucket=bucket, path="tenants/claims")
    interpreter = names["CodeInterpreter"](examples, "Interpreter", name_prefix="given")
    function = names["SessionFunction"](
        examples,
        "Function",
        service="claims",
        interpreters={"python": interpreter},
        folder=folder,
        code=lambda_.Code.from_inline("# a placeholder"),
    )
    workflow = names["RunCodeWorkflow"](examples, "Workflow", name="given", session_function=function)
    return names | {
        "bucket": bucket,
        "data": names["DataBucket"](examples, "Data", name="given-data"),
        "folder": folder,
        "interpreter": interpreter,
        "function": function,
        "workflow": workflow,
        "alarms": names["TenantAlarms"](examples, "Alarms", service="claims", workflow=workflow, name_prefix="given"),
        "role": iam.Role(examples, "Role", assumed_by=service_principal("lambda")),
        "vpc": ec2.Vpc(examples, "Vpc", max_azs=1),
        "scope": examples,
    }


def test_examples_can_be_synthesized(tmp_path: Path) -> None:
    import aws_cdk as cdk

    app = new_app(tmp_path)
    stack = cdk.Stack(app, "stack", env=cdk.Environment(account=ACCOUNT, region=REGION))
    names = _names(stack)
    for name in EXAMPLES:
        (block,) = re.findall(r"```python\n(.*?)```", inspect.getdoc(names[name]) or "", re.DOTALL)
        exec(compile(textwrap.dedent(block), f"example of {name}", "exec"), dict(names))  # noqa: S102 - the code under test
    app.synth()
    assert len(read_assembly(tmp_path)["stack"].resources("AWS::StepFunctions::StateMachine")) == 7
