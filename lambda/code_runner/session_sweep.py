"""Stops live sessions whose execution has ended, which neither their attempt nor the rule of the workflow has stopped.

A session has the name of its execution as a hash, and the folders of idempotency records are named after executions. So
a session without a folder, which a caller outside of workflows has started, is never stopped.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from code_runner.agentcore.live_sessions import live_sessions, stop_or_report
from code_runner.agentcore.service_errors import AWS_ERRORS, error_code, storage_errors
from code_runner.run_sessions import SESSION_NAME_PREFIX, session_name
from sandpiper_contract import results
from sandpiper_contract.settings import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_stepfunctions import SFNClient

    from code_runner.operations import Operations
    from sandpiper_contract.requests import SweepSessions

log = logging.getLogger(__name__)

MIN_AGE_SECONDS = 960
"""Age of the sessions that are looked up. The attempt that started a younger session may be about to stop it: Lambda
ends an attempt after at most 900 s, and the clocks of AgentCore and of the function may differ."""
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")
"""The other statuses are RUNNING and PENDING_REDRIVE."""
_MISSING = "ExecutionDoesNotExist"


def sweep_sessions(request: SweepSessions, operations: Operations, executions: SFNClient) -> results.StoppedSessions:
    """Stops the sessions of executions of the request's state machines that have ended or do not exist.

    Ends early, and leaves the rest to the next sweep, when no time is left.

    Raises:
        RunError: Sessions or records cannot be listed.
    """
    found = dict[str, list[tuple[str, str]]]()
    for interpreter_id in operations.tenant.interpreters.values():
        for session_id, name in _old_sessions(operations, interpreter_id):
            found.setdefault(name, []).append((interpreter_id, session_id))
    stopped: list[str] = []
    for execution in chain.from_iterable(_executions(operations, arn) for arn in request.workflows if found):
        sessions = found.pop(session_name(execution), [])
        if sessions and _has_ended(executions, execution):
            stopped += [
                session_id
                for interpreter_id, session_id in sessions
                if stop_or_report(operations.clients, interpreter_id, session_id, operations.on_stop_failed)
            ]
        if not found or operations.work_deadline.seconds_left < 0:
            break
    return results.StoppedSessions(tuple(stopped))


def _old_sessions(operations: Operations, interpreter_id: str) -> Iterator[tuple[str, str]]:
    """Yields id and name of each live session that an attempt started, and that its attempt no longer stops."""
    for item in live_sessions(operations.clients, interpreter_id):
        age = (datetime.now(UTC) - item["createdAt"]).total_seconds()
        name = item.get("name", "")
        if age > MIN_AGE_SECONDS and name.startswith(SESSION_NAME_PREFIX):
            yield item["sessionId"], name


def _executions(operations: Operations, state_machine_arn: str) -> Iterator[str]:
    """Yields the ARNs of a state machine's executions that have idempotency records, also of its Distributed Maps."""
    folder = operations.tenant.folder(RUNS)
    prefix, _, name = state_machine_arn.rpartition(":")
    prefix = prefix.removesuffix(":stateMachine")
    for workflow in _folders(operations, f"{folder.key}/{quote(name)}"):
        machine = unquote(workflow)
        if machine != name and not machine.startswith(f"{name}/"):
            continue
        for execution in map(unquote, _folders(operations, f"{folder.key}/{workflow}/")):
            # Only the names of express executions contain a colon, before an identifier.
            yield f"{prefix}:{'express' if ':' in execution else 'execution'}:{machine}:{execution}"


def _folders(operations: Operations, prefix: str) -> Iterator[str]:
    """Yields the names of the folders whose key begins with a prefix."""
    bucket = operations.tenant.folder(RUNS).bucket
    with storage_errors("listing the records of executions", f"s3://{bucket}/{prefix}"):
        paginator = operations.clients.s3.get_paginator("list_objects_v2")
        for page in paginator.paginate(Bucket=bucket, Prefix=prefix, Delimiter="/"):
            for common in page.get("CommonPrefixes", []):
                yield common.get("Prefix", "").rstrip("/").rpartition("/")[2]
            if operations.work_deadline.seconds_left < 0:
                return


def _has_ended(executions: SFNClient, arn: str) -> bool:
    """Returns whether an execution has ended or does not exist. An express execution ends after five minutes."""
    if ":express:" in arn:
        return True
    try:
        # Without its input and output, the description of an encrypted execution needs no permission on the key.
        return executions.describe_execution(executionArn=arn, includedData="METADATA_ONLY")["status"] in ENDED
    except AWS_ERRORS as error:
        if isinstance(error, ClientError) and error_code(error) == _MISSING:
            return True
        log.warning("session not stopped, because its execution %s is unknown: %s", arn, error)
        return False
