"""The deployed product."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sandpiper import workflow

if TYPE_CHECKING:
    from pathlib import Path

    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.workflow import FinishedRun


@dataclass(frozen=True)
class Product:
    """The deployed product, as a workflow uses it."""

    session: boto3.Session
    deployment: Deployment
    out: Path

    def run(self, code: str, **request: Any) -> FinishedRun:
        """Runs code through the state machine. Raises CliError if there is no result."""
        return workflow.run(self.session, self.deployment, {"code": code, **request}, [], self.out, lambda _: None)

    def live_sessions(self) -> list[str]:
        """Returns the ids of live sessions of all interpreters of the tenant."""
        return [
            item["sessionId"]
            for identifier in self.deployment.interpreters.values()
            for item in self._data.list_code_interpreter_sessions(codeInterpreterIdentifier=identifier, status="READY")[
                "items"
            ]
        ]

    def executions(self) -> int:
        """Returns the number of executions of the workflow."""
        pages = self._workflows.get_paginator("list_executions")
        return sum(len(page["executions"]) for page in pages.paginate(stateMachineArn=self.deployment.run_code_arn))

    @cached_property
    def _data(self) -> Any:
        return self.session.client("bedrock-agentcore")

    @cached_property
    def _workflows(self) -> Any:
        return self.session.client("stepfunctions")
