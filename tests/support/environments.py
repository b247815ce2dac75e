"""Deploys separate environments for tests on the embedded AWS with the CDK CLI, and deletes them after the test.

The stacks are synthesized in the process of the test, so that Python, Node and the CDK start once. The CLI deploys the
assembly. `deployed` in tests/local/conftest.py and tests/cdk_cli/test_synth.py run the app through the CLI.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from local_aws.settings import ACCOUNT
from sandpiper import deployment
from sandpiper.cdk_cli import PROJECT
from sandpiper.environment import load
from tests.support.assemblies import new_app
from tests.support.cdk_commands import cdk

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sandpiper.deployment import Deployment

HEAD = f"""\
account: "{ACCOUNT}"
region: us-east-1
owner: a test
termination_protection: false
data_bucket:
  retain: false
"""
# Values of the production example, and their replacements for the embedded AWS.
EMBEDDED = (("444455556666", ACCOUNT), ("eu-west-1", "us-east-1"), ("euw1-", "use1-"))


@dataclass
class Environments:
    """Writes environment files into a folder and deploys them.

    `context` is passed to every synthesis, like `-c`.
    """

    folder: Path
    context: dict[str, str] = field(default_factory=dict[str, str])
    deployed: list[Path] = field(default_factory=list["Path"])

    def write(self, name: str, rest: str, *, head: str = HEAD) -> Path:
        """Writes `NAME.yaml` from `head` and `rest`, which can extend `data_bucket` with indented lines."""
        file = self.folder / f"{name}.yaml"
        file.write_text(f"name: {name}\n{head}{rest}")
        return file

    def copy(self, name: str, *changes: tuple[str, str]) -> Path:
        """Copies a file of the repository, with the embedded AWS's account and zones and with text replacements."""
        text = (PROJECT / "environments" / f"{name}.yaml").read_text()
        for before, after in (*EMBEDDED, *changes):
            assert before in text, before
            text = text.replace(before, after)
        file = self.folder / f"{name}.yaml"
        file.write_text(text)
        return file

    def deploy(self, file: Path, *stacks: str) -> str:
        """Runs `cdk deploy` for all stacks or some of them. Returns its output. Raises CliError if it fails."""
        if file not in self.deployed:
            self.deployed.append(file)
        quick = ("--method", "direct", "--concurrency", "4", "--require-approval", "never")
        return self.cdk("deploy", file, *(stacks or ("--all",)), *quick)

    def cdk(self, command: str, file: Path, *arguments: str) -> str:
        """Runs a command of the CDK CLI for the current file of an environment. Returns its output."""
        lines: list[str] = []
        cdk([command, *arguments, "--app", str(self.synthesize(file))], PROJECT, lines.append)
        return "\n".join(lines)

    def synthesize(self, file: Path) -> Path:
        """Returns the folder of the cloud assembly."""
        return synthesize(file, self.folder / f"{file.stem}.out", self.context)

    def template(self, file: Path, stack: str) -> dict[str, Any]:
        """Returns the template that was synthesized last."""
        return json.loads((self.folder / f"{file.stem}.out" / f"{stack}.template.json").read_text())

    def tenant(self, file: Path, name: str) -> Deployment:
        """Returns a deployed tenant."""
        return deployment.find(boto3.Session(), file.stem, name)

    def destroy(self) -> None:
        """Empties the buckets and deletes the stacks, tenants before storage and network."""
        for file in self.deployed:
            for bucket in _buckets(file.stem):
                bucket.object_versions.delete()
            stacks = boto3.client("cloudformation").describe_stacks()["Stacks"]
            names = {name for stack in stacks if (name := stack["StackName"]).startswith(f"sandpiper-{file.stem}-")}
            shared = {name for name in names if name.endswith(("-storage", "-network"))}
            _delete(names - shared)
            _delete(shared)


def synthesize(file: Path, output: Path, context: Mapping[str, str]) -> Path:
    """Writes the cloud assembly of an environment into a folder and returns the folder. Raises InvalidEnvironment."""
    from stacks.environment_stacks import (
        add_stacks,
    )  # here: it starts Node, which tests without an environment do not need

    app = new_app(output, context)
    add_stacks(app, load(file))
    app.synth()
    return output


def _delete(stacks: set[str]) -> None:
    """Deletes stacks concurrently and waits until they are deleted."""
    cloudformation = boto3.client("cloudformation")
    waiter_config: Any = {"Delay": 0.1, "MaxAttempts": 1_200}
    for stack in stacks:
        cloudformation.delete_stack(StackName=stack)
    for stack in stacks:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=waiter_config)


def _buckets(environment: str) -> list[Any]:
    pattern = re.compile(rf"sandpiper-{environment}-{ACCOUNT}-")
    s3 = boto3.Session().resource("s3")
    return [bucket for bucket in s3.buckets.all() if pattern.match(bucket.name)]
