"""The CDK app of the charting agent. Run it in the repository's root folder.

Example:
    cdk deploy --app "python examples/charting_agent/app.py"

Account and Region come from the credentials of the CDK CLI, or from `-c account=… -c region=…`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import aws_cdk as cdk
import cdk_nag

from charting_agent_stack import ChartingAgentStack, InferenceProfile

MODEL = InferenceProfile(
    profile_id="us.anthropic.claude-haiku-4-5-20251001-v1:0", regions=("us-east-1", "us-east-2", "us-west-2")
)
PACKAGE = Path("build", "charting-agent")


def main() -> int:
    """Writes the cloud assembly. Returns 1 with a message if a setting or the package is missing."""
    app = cdk.App(analytics_reporting=False)
    account = app.node.try_get_context("account") or os.environ.get("CDK_DEFAULT_ACCOUNT")
    region = app.node.try_get_context("region") or os.environ.get("CDK_DEFAULT_REGION")
    package = Path(app.node.try_get_context("package") or PACKAGE)
    if not account or not region:
        print("account or region is missing; allowed: credentials, or -c account=ID -c region=NAME", file=sys.stderr)
        return 1
    if not (package / "main.py").is_file():
        print(f"{package} has no main.py; run examples/charting_agent/package first", file=sys.stderr)
        return 1
    ChartingAgentStack(app, "charting-agent", account=account, region=region, model=MODEL, package=package)
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    return 0


if __name__ == "__main__":
    sys.exit(main())
