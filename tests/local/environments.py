"""Environments of a test's own on the embedded AWS: deployed by the CDK CLI, changed, and deleted after the test.

The app's stacks are synthesised in the test's process, where Python, Node and the CDK start once: the CLI gets the
assembly. The app itself, as the CLI runs it, is what `deployed` in conftest.py and tests/cdk_cli/test_synth.py show.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from local_aws.settings import ACCOUNT
from sandpiper import deployment
from sandpiper.cdk_cli import PROJECT, cdk
from sandpiper.environment import load
from tests.templates.conftest import new_app

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
# What an example of a production account has in place of it.
EMBEDDED = (("444455556666", ACCOUNT), ("eu-west-1", "us-east-1"), ("euw1-", "use1-"))


@dataclass
class Environments:
    """Writes environment files into a folder and deploys them.

    `context` is for every synthesis, as `-c` gives it.
    """

    folder: Path
    context: dict[str, str] = field(default_factory=dict[str, str])
    deployed: list[Path] = field(default_factory=list["Path"])

    def write(self, name: str, rest: str, *, head: str = HEAD) -> Path:
        """The file `NAME.yaml`: `head`, and what the test says, which may go on in `data_bucket` by two spaces."""
        file = self.folder / f"{name}.yaml"
        file.write_text(f"name: {name}\n{head}{rest}")
        return file

    def copy(self, name: str, *changes: tuple[str, str]) -> Path:
        """A file of the repository's in the account and the zones of the embedded AWS, with changes of its text."""
        text = (PROJECT / "environments" / f"{name}.yaml").read_text()
        for before, after in (*EMBEDDED, *changes):
            assert before in text, before
            text = text.replace(before, after)
        file = self.folder / f"{name}.yaml"
        file.write_text(text)
        return file

    def deploy(self, file: Path, *stacks: str) -> str:
        """`cdk deploy` of all its stacks, or of some; returns what it printed. Raises CliError where it fails."""
        if file not in self.deployed:
            self.deployed.append(file)
        quick = ("--method", "direct", "--concurrency", "4", "--require-approval", "never")
        return self.cdk("deploy", file, *(stacks or ("--all",)), *quick)

    def cdk(self, command: str, file: Path, *arguments: str) -> str:
        """A command of the CDK CLI for an environment as its file is now; returns what it printed."""
        lines: list[str] = []
        cdk([command, *arguments, "--app", str(self.synthesise(file))], PROJECT, lines.append)
        return "\n".join(lines)

    def synthesise(self, file: Path) -> Path:
        """The folder of its cloud assembly."""
        return synthesise(file, self.folder / f"{file.stem}.out", self.context)

    def template(self, file: Path, stack: str) -> dict[str, Any]:
        """What was last synthesised."""
        return json.loads((self.folder / f"{file.stem}.out" / f"{stack}.template.json").read_text())

    def tenant(self, file: Path, name: str) -> Deployment:
        """A tenant as it is deployed."""
        return deployment.find(boto3.Session(), file.stem, name)

    def destroy(self) -> None:
        """Empties what they left in buckets and deletes their stacks, tenants before what they stand on."""
        for file in self.deployed:
            for bucket in _buckets(file.stem):
                bucket.object_versions.delete()
            found = boto3.client("cloudformation").describe_stacks()["Stacks"]
            mine = {each["StackName"] for each in found if each["StackName"].startswith(f"sandpiper-{file.stem}-")}
            below = {name for name in mine if name.endswith(("-storage", "-network"))}
            _delete(mine - below)
            _delete(below)


def synthesise(file: Path, output: Path, context: Mapping[str, str]) -> Path:
    """Writes the cloud assembly of an environment into a folder, which it returns. Raises InvalidEnvironment."""
    from stacks.environment_stacks import add_stacks  # here: it starts Node, which tests without an environment spare

    app = new_app(output, context)
    add_stacks(app, load(file))
    app.synth()
    return output


def _delete(stacks: set[str]) -> None:
    """All at once, and waits until they are gone."""
    cloudformation = boto3.client("cloudformation")
    soon: Any = {"Delay": 0.1, "MaxAttempts": 1_200}
    for stack in stacks:
        cloudformation.delete_stack(StackName=stack)
    for stack in stacks:
        cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig=soon)


def _buckets(environment: str) -> list[Any]:
    mine = re.compile(rf"sandpiper-{environment}-{ACCOUNT}-")
    s3 = boto3.Session().resource("s3")
    return [bucket for bucket in s3.buckets.all() if mine.match(bucket.name)]
