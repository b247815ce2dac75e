"""Synthesizes the stack of the charting agent with a minimal package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.account import ACCOUNT, REGION
from tests.support.assemblies import new_app, read_assembly

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.assemblies import Assembly

NAME = "charting-agent"


def synthesize(directory: Path) -> Assembly:
    """Returns the cloud assembly after cdk-nag, which fails for a finding without an acknowledgement."""
    import aws_cdk as cdk
    import cdk_nag

    from charting_agent_stack import ChartingAgentStack, InferenceProfile

    (directory / "package").mkdir()
    (directory / "package" / "main.py").write_text("")
    app = new_app(directory / "cdk.out")
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    model = InferenceProfile(profile_id="us.maker.model-v1:0", regions=("us-east-1", "us-west-2"))
    package = directory / "package"
    ChartingAgentStack(app, NAME, account=ACCOUNT, region=REGION, model=model, package=package)
    app.synth()
    return read_assembly(directory / "cdk.out")
