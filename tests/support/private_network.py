"""An environment with a network, and interpreters inside and outside of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.assemblies import new_app, read_assembly

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.assemblies import Assembly

ENVIRONMENT = """
name: private
account: "111122223333"
region: eu-west-1
owner: platform team
availability_zones: {eu-west-1a: euw1-az1, eu-west-1c: euw1-az3}
network:
  endpoints: [logs, ecr.dkr]
  domains: ["*.example.com"]
  query_log_days: 365
tenants:
  claims:
    interpreters:
      private:
        network: VPC
        read: [s3://reference-data/rates/]
        write:
          - {uri: s3://partner.data/inbox/, account: "222233334444"}
      elsewhere:
        network: VPC
        read: [s3://not-from-here/rates/]
        subnets: [subnet-0123456789abcdef0]
        security_groups: [sg-0123456789abcdef0]
      sandbox:
        read: [s3://not-from-here-either/rates/]
"""


def synthesized(directory: Path, **changes: str) -> Assembly:
    """Synthesizes the environment, with replacements in its file. cdk-nag findings without a reason fail it."""
    text = ENVIRONMENT
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    directory.mkdir()
    file = directory / "private.yaml"
    file.write_text(text)
    import aws_cdk as cdk
    import cdk_nag

    from sandpiper.environment import load
    from stacks.environment_stacks import add_stacks

    app = new_app(directory / "out")
    add_stacks(app, load(file))
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))
    app.synth()
    return read_assembly(directory / "out")
