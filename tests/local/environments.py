"""Environments of a test's own on the embedded AWS: deployed by the CDK CLI, changed, and destroyed after the test."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3

from local_aws.settings import ACCOUNT
from sandpiper import deployment
from sandpiper.toolchain import PROJECT, cdk

if TYPE_CHECKING:
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

    `options` are arguments for every command of the CDK CLI.
    """

    folder: Path
    options: tuple[str, ...] = ()
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
        """`cdk deploy` of all its stacks, or of some; returns what it printed. Raises Failure where it fails."""
        if file not in self.deployed:
            self.deployed.append(file)
        return self.cdk("deploy", file, *(stacks or ("--all",)), "--require-approval", "never")

    def cdk(self, command: str, file: Path, *arguments: str) -> str:
        """A command of the CDK CLI for an environment; returns what it printed."""
        lines: list[str] = []
        output = self.folder / f"{file.stem}.out"
        cdk(
            [command, *arguments, "-c", f"environment={file}", *self.options, "--output", str(output)],
            PROJECT,
            lines.append,
        )
        return "\n".join(lines)

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
            self.cdk("destroy", file, "--all", "--force")


def _buckets(environment: str) -> list[Any]:
    mine = re.compile(rf"sandpiper-{environment}-{ACCOUNT}-")
    s3 = boto3.Session().resource("s3")
    return [bucket for bucket in s3.buckets.all() if mine.match(bucket.name)]
