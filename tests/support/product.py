"""The deployed product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sandpiper import workflow

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.workflow import FinishedRun


@dataclass(frozen=True)
class Product:
    """The deployed product, as a workflow author meets it."""

    session: boto3.Session
    place: Deployment
    out: Path

    def run(self, code: str, **request: Any) -> FinishedRun:
        """Runs code through the state machine. Raises CliError where there is no result."""
        return workflow.run(self.session, self.place, {"code": code, **request}, [], self.out, lambda _: None)

    def live_sessions(self) -> list[str]:
        """Ids of sessions that still run, on all of the tenant's interpreters."""
        data = self.session.client("bedrock-agentcore")
        return [
            item["sessionId"]
            for identifier in self.place.interpreters.values()
            for item in data.list_code_interpreter_sessions(codeInterpreterIdentifier=identifier, status="READY")[
                "items"
            ]
        ]

    def executions(self) -> int:
        """How many executions the workflow has seen."""
        pages = self.session.client("stepfunctions").get_paginator("list_executions")
        return sum(len(page["executions"]) for page in pages.paginate(stateMachineArn=self.place.run_code_arn))
