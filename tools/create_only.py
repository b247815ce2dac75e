"""Writes `sandpiper/plan/create_only.json` from the resource schemas that cfn-lint brings: `create_only.py [FILE]`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cfnlint

REGION = "us-east-1"
SERVICES = (
    *("ApplicationSignals", "BedrockAgentCore", "Budgets", "CloudTrail", "CloudWatch", "Events", "IAM", "KMS"),
    *("Lambda", "Logs", "Route53Resolver", "S3", "SNS", "SQS", "SSM", "Scheduler", "SecretsManager"),
    *("StepFunctions", "XRay"),
)
TYPES = tuple(
    f"AWS::EC2::{name}"
    for name in (
        *("FlowLog", "NetworkAcl", "PrefixList", "Route", "RouteTable", "SecurityGroup", "SecurityGroupEgress"),
        *("SecurityGroupIngress", "Subnet", "SubnetRouteTableAssociation", "VPC", "VPCEndpoint"),
    )
)
"""Of a large service, only these."""


def table() -> dict[str, dict[str, list[str]]]:
    """The properties of each type that replace it always, and perhaps."""
    schemas = Path(str(cfnlint.__file__)).parent / "data" / "schemas"
    names: dict[str, str] = json.loads((schemas / "providers" / f"{REGION}.json").read_text())
    wanted = [name for name in sorted(names) if name in TYPES or name.split("::")[1] in SERVICES]
    return {name: _of(json.loads((schemas / "resources" / f"{names[name]}.json").read_text())) for name in wanted}


def _of(schema: dict[str, Any]) -> dict[str, list[str]]:
    always, perhaps = schema.get("createOnlyProperties", []), schema.get("conditionalCreateOnlyProperties", [])
    return {"always": _paths(always), "perhaps": _paths(perhaps)}


def _paths(pointers: list[str]) -> list[str]:
    """`/properties/A/B` as `A.B`; a step into lists is left out, since a list is compared whole."""
    return sorted(
        {".".join(step for step in one.split("/")[2:] if step not in ("*", "items", "properties")) for one in pointers}
    )


if __name__ == "__main__":
    project = Path(__file__).resolve().parents[1]
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else project / "sandpiper" / "plan" / "create_only.json"
    target.write_text(json.dumps(table(), indent=1) + "\n")
