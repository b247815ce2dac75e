"""Plans from one environment, whose templates are deployed, to another, whose templates are synthesized."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sandpiper.environment.account import Quotas
from sandpiper.plan.assembly import read_assembly
from sandpiper.plan.compare import create_plan
from sandpiper.plan.deployed import DeployedStack
from sandpiper.plan.model import Objects, Plan, Session
from tests.support.assemblies import synthesize

if TYPE_CHECKING:
    from pathlib import Path

    from sandpiper.plan.assembly import Assembly as Synthesized

STARTED = datetime.datetime(2026, 11, 21, 18, 3, tzinfo=datetime.UTC)


@dataclass
class FakeAccount:
    """An account with live sessions and with objects in its folders."""

    live: tuple[Session, ...] = ()
    objects: Objects | None = field(default_factory=lambda: Objects(total=5, older=2, older_bytes=2048, is_all=True))
    listed: list[str] = field(default_factory=list[str])
    bootstrap: int | None = 30
    buckets: tuple[str, ...] = ()

    def physical_ids(self, stack: str) -> dict[str, str]:
        return {name: f"{name}-id" for name in self.stacks[stack].template.resources}

    def sessions(self, interpreter: str) -> tuple[Session, ...]:
        self.listed.append(interpreter)
        return self.live

    def count(self, bucket: str, folder: str, days: int) -> Objects | None:  # noqa: ARG002 - the interface
        return self.objects

    def has_bucket(self, name: str) -> bool:
        return name in self.buckets

    def bootstrap_version(self, parameter: str) -> int | None:
        assert parameter == "/cdk-bootstrap/hnb659fds/version"
        return self.bootstrap

    stacks: dict[str, DeployedStack] = field(default_factory=dict[str, DeployedStack])


@dataclass
class Plans:
    """Synthesizes each environment once, and plans from one to another."""

    folder: Path
    folders: dict[str, Path] = field(default_factory=dict[str, "Path"])

    def synthesize(self, options: dict[str, Any]) -> Synthesized:
        text = json.dumps(options, default=str)
        if text not in self.folders:
            self.folders[text] = self.folder / str(len(self.folders))
            synthesize(self.folders[text], {"termination_protection": False, **options})
        return read_assembly(self.folders[text])

    def plan(
        self, before: dict[str, Any], after: dict[str, Any], account: FakeAccount | None = None, **quotas: int
    ) -> Plan:
        account = account or FakeAccount()
        account.stacks = deployed(self.synthesize(before))
        return create_plan(self.synthesize(after), account.stacks, account, Quotas(**quotas))


def deployed(assembly: Synthesized) -> dict[str, DeployedStack]:
    return {
        name: DeployedStack(
            name=name,
            status="CREATE_COMPLETE",
            is_protected=one.is_protected,
            changed=STARTED,
            parameters={},
            outputs={},
            tags={},
            template=one.template,
        )
        for name, one in assembly.stacks.items()
    }
