"""Stops an interpreter's live sessions before CloudFormation deletes the interpreter.

The physical id of the custom resource is the interpreter's id. So after an interpreter was replaced, CloudFormation
deletes the old custom resource, and its sessions with it, when it cleans up after a successful update. An update that
is rolled back stops no session of the old interpreter.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes-delete.html
"""

from __future__ import annotations

import json
import re
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from botocore.exceptions import BotoCoreError, ClientError

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.deadline import Deadline
from code_runner.agentcore.service_errors import error_code
from sandpiper_contract.aws import INTERPRETER_ID

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient

RESPONSE_SECONDS = 30
"""Time reserved for the response to CloudFormation, which otherwise waits until its own timeout."""
PARALLEL_STOPS = 8
"""At 0.2 s per stop, the rate stays below the account's quota of 30 calls per second."""
POLL_INTERVAL_SECONDS = 1
MAX_LISTED_SESSIONS = 100
"""https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference/API_ListCodeInterpreterSessions.html"""
MAX_REASON_CHARACTERS = 1_000
"""CloudFormation accepts a response of 4 KB in total."""
_INTERPRETER_ID = re.compile(INTERPRETER_ID)
_NOT_FOUND = "ResourceNotFoundException"
_ENDED = (_NOT_FOUND, "ConflictException", "ValidationException")
"""Error codes for a session that has already ended."""

logger = Logger()
CLIENTS = AwsClients()


class SessionsStillLive(Exception):  # noqa: N818 - a state of the sessions, not a program error
    """Raised when sessions could not be stopped. CloudFormation shows the message in the stack's event."""


def handle(event: dict[str, Any], context: LambdaContext) -> None:
    """Handles a request of CloudFormation and always sends a response to its ResponseURL."""
    end = Deadline.after(context.get_remaining_time_in_millis() / 1000).earlier(RESPONSE_SECONDS)
    physical_id = str(event.get("PhysicalResourceId", "none"))
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete":
            # A creation or update creates nothing: the custom resource is an entry of the stack for its interpreter.
            physical_id = event["ResourceProperties"]["InterpreterId"]
        elif _INTERPRETER_ID.fullmatch(physical_id):  # a failed creation has a generated id
            stop_all(CLIENTS.sessions, physical_id, end)
    except Exception as error:
        logger.exception("sessions not stopped", extra={"interpreter": physical_id})
        status, reason = "FAILED", str(error) if isinstance(error, SessionsStillLive) else _advice(physical_id, error)
    _respond(event, {"Status": status, "Reason": reason[:MAX_REASON_CHARACTERS], "PhysicalResourceId": physical_id})


def stop_all(sessions: BedrockAgentCoreClient, interpreter_id: str, end: Deadline) -> None:
    """Stops all sessions of the interpreter, including those that start meanwhile.

    Does nothing for an interpreter that no longer exists.

    Raises:
        SessionsStillLive: Sessions are live at `end`, or the role may not stop them.
    """

    def stop(session_id: str) -> Exception | None:
        return _stop(sessions, interpreter_id, session_id)

    failed: Exception | None = None
    while live := _live_sessions(sessions, interpreter_id):
        if _is_access_denied(failed) or end.seconds_left < 0:
            raise SessionsStillLive(_advice(interpreter_id, failed, live))
        logger.info("stopping sessions", extra={"interpreter": interpreter_id, "sessions": len(live)})
        with ThreadPoolExecutor(PARALLEL_STOPS) as pool:
            failed = next((error for error in pool.map(stop, live) if error is not None), None)
        time.sleep(POLL_INTERVAL_SECONDS)


def _live_sessions(sessions: BedrockAgentCoreClient, interpreter_id: str) -> list[str]:
    """Returns the ids of up to 100 live sessions. Once these are stopped, the next call returns further ones.

    Returns an empty list for an interpreter that no longer exists. Raises ClientError.
    """
    try:
        response = sessions.list_code_interpreter_sessions(
            codeInterpreterIdentifier=interpreter_id, status="READY", maxResults=MAX_LISTED_SESSIONS
        )
    except ClientError as error:
        if error_code(error) == _NOT_FOUND:
            return []
        raise
    return [item["sessionId"] for item in response["items"]]


def _stop(sessions: BedrockAgentCoreClient, interpreter_id: str, session_id: str) -> Exception | None:
    """Stops a session. Returns None, or the error if it could not be stopped."""
    try:
        sessions.stop_code_interpreter_session(codeInterpreterIdentifier=interpreter_id, sessionId=session_id)
    except ClientError as error:
        return None if error_code(error) in _ENDED else error
    except BotoCoreError as error:
        return error
    return None


def _is_access_denied(error: Exception | None) -> bool:
    return isinstance(error, ClientError) and error_code(error) == "AccessDeniedException"


def _advice(interpreter_id: str, error: Exception | None, live: list[str] | None = None) -> str:
    count = f"{len(live)} sessions" if live else "Sessions"
    cause = f" ({type(error).__name__}: {error})" if error else ""
    return (
        f"{count} of {interpreter_id} may still be live{cause}. Prevent new sessions, stop these with `aws "
        f"bedrock-agentcore stop-code-interpreter-session --code-interpreter-identifier {interpreter_id} --session-id "
        "ID` or wait for their timeout, then delete or update the stack again"
    )


def _respond(event: dict[str, Any], response: dict[str, str]) -> None:
    """Sends the response to CloudFormation.

    Raises OSError on failure. Lambda then invokes the function again, which is safe because all steps are idempotent.
    """
    request_ids = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    # The URL is signed for a request without a content type.
    request = urllib.request.Request(  # noqa: S310 - a URL of CloudFormation
        event["ResponseURL"], json.dumps(response | request_ids).encode(), {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=RESPONSE_SECONDS / 3):  # noqa: S310 - see above
        logger.info("response sent", extra={"status": response["Status"]})
