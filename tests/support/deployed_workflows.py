"""The deployed workflows of the product."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from sandpiper import approvals
from sandpiper_contract.run import Run
from sandpiper_contract.settings import RECORD_NAME
from tests.support.target import ON_AWS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.product import Product

PATIENCE_SECONDS = 120
STOPPED_SECONDS = 60
"""The time after which no session of a stopped execution may be live."""


@dataclass(frozen=True)
class Workflows:
    """The deployed workflows."""

    product: Product

    def start(self, workflow: str, **request: Any) -> str:
        """Starts an execution and returns its ARN."""
        return self.start_named(workflow, str(uuid.uuid4()), request)

    def start_named(self, workflow: str, name: str, request: dict[str, Any]) -> str:
        """Starts an execution with a name and returns its ARN."""
        return self.client.start_execution(
            stateMachineArn=self.machine(workflow), name=name, input=json.dumps(request)
        )["executionArn"]

    def machine(self, workflow: str) -> str:
        """Returns the ARN of a state machine."""
        return self.product.deployment.run_code_arn.removesuffix("run-code") + workflow

    def result(self, execution: str) -> Any:
        """Waits until an execution has ended. Returns its output, or its error and its parsed cause."""
        ended = until(lambda: self.ended(execution))
        if ended["status"] == "SUCCEEDED":
            return json.loads(ended["output"])
        return ended.get("error", ended["status"]), json.loads(ended.get("cause", "{}"))

    def ended(self, execution: str) -> Any:
        described = self.client.describe_execution(executionArn=execution)
        return None if described["status"] == "RUNNING" else described

    def outputs(self, execution: str, state: str) -> list[Any]:
        """Returns the outputs of a state so far, in order."""
        pages = self.client.get_paginator("get_execution_history").paginate(executionArn=execution)
        exited = (event.get("stateExitedEventDetails") for page in pages for event in page["events"])
        return [json.loads(details["output"]) for details in exited if details and details["name"] == state]

    def records(self, execution: str) -> bytes:
        """Returns the idempotency records of an execution so far, one after another."""
        s3, deployment = self.product.session.client("s3"), self.product.deployment
        prefix = f"{deployment.prefix}/runs/{Run(execution).execution_key}/"
        listed: Any = s3.list_objects_v2(Bucket=deployment.bucket, Prefix=prefix).get("Contents", [])
        keys = [item["Key"] for item in listed if item["Key"].endswith(RECORD_NAME)]
        return b"".join(s3.get_object(Bucket=deployment.bucket, Key=key)["Body"].read() for key in keys)

    def pending(self, execution: str) -> approvals.PendingApproval:
        """Waits for the approval that an execution waits for."""
        return until(lambda: approvals.pending_approval(self.product.session, execution))

    def stop(self, execution: str) -> None:
        """Stops an execution, and asserts that no session is live soon after."""
        assert self.product.live_sessions() != []
        self.client.stop_execution(executionArn=execution)
        until(lambda: self.product.live_sessions() == [], STOPPED_SECONDS)

    @cached_property
    def client(self) -> Any:
        # the address of the embedded AWS has no subdomains such as `sync-`
        return self.product.session.client("stepfunctions", config=Config(inject_host_prefix=ON_AWS))


def until(find: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Waits for a result that is not false."""
    deadline = time.monotonic() + seconds
    while not (found := find()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found
