"""Writes the create-only properties of CloudFormation types from cfn-lint's schemas: `create_only.py [FILE]`.

FILE is `sandpiper/plan/create_only.json` by default.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cfnlint

REGION = "us-east-1"
SERVICES = (
    *("ApplicationSignals", "BedrockAgentCore", "Budgets", "Chatbot", "CloudTrail", "CloudWatch", "Events", "IAM"),
    *("KMS", "Lambda", "Logs", "Route53Resolver", "S3", "SNS", "SQS", "SSM", "Scheduler", "SecretsManager"),
    *("StepFunctions", "XRay"),
)
"""Services of which the table lists every type."""
TYPES = tuple(
    f"AWS::EC2::{name}"
    for name in (
        *("FlowLog", "NetworkAcl", "PrefixList", "Route", "RouteTable", "SecurityGroup", "SecurityGroupEgress"),
        *("SecurityGroupIngress", "Subnet", "SubnetRouteTableAssociation", "VPC", "VPCEndpoint"),
    )
)
"""Types of other services."""


def table() -> dict[str, dict[str, list[str]]]:
    """Returns, by type, the properties whose change always replaces the resource, and those that may replace it."""
    schemas = Path(str(cfnlint.__file__)).parent / "data" / "schemas"
    files: dict[str, str] = json.loads((schemas / "providers" / f"{REGION}.json").read_text())
    types = [name for name in sorted(files) if name in TYPES or name.split("::")[1] in SERVICES]
    return {
        name: _create_only(json.loads((schemas / "resources" / f"{files[name]}.json").read_text())) for name in types
    }


def to_json(properties: dict[str, dict[str, list[str]]]) -> str:
    """Returns the table as JSON with one line for each type."""
    lines = (f" {json.dumps(name)}: {json.dumps(one)}" for name, one in properties.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _create_only(schema: dict[str, Any]) -> dict[str, list[str]]:
    always, perhaps = schema.get("createOnlyProperties", []), schema.get("conditionalCreateOnlyProperties", [])
    return {"always": _paths(always), "perhaps": _paths(perhaps)}


def _paths(pointers: list[str]) -> list[str]:
    """Returns `/properties/A/B` as `A.B`. Steps into lists are omitted, because lists are compared as a whole."""
    return sorted(
        {".".join(step for step in one.split("/")[2:] if step not in ("*", "items", "properties")) for one in pointers}
    )


if __name__ == "__main__":
    project = Path(__file__).resolve().parents[1]
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else project / "sandpiper" / "plan" / "create_only.json"
    target.write_text(to_json(table()))
