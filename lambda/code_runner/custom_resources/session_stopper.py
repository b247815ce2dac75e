"""Stops an interpreter's live sessions before CloudFormation deletes the interpreter.

The resource's physical id is the interpreter's. So a replaced interpreter's is deleted, and its sessions with it, when
CloudFormation cleans up after an update that succeeded; an update that is rolled back stops nothing of the old one.
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
from sandpiper_contract.aws import INTERPRETER_ID

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from mypy_boto3_bedrock_agentcore import BedrockAgentCoreClient

ANSWERING_SECONDS = 30
"""What is kept of the function's time to answer CloudFormation, which otherwise waits for as long as it may."""
AT_ONCE = 8
"""Stops at once, which at 0.2 s each stay below the 30 a second that an account has."""
LOOK_AGAIN_SECONDS = 1
MOST_LISTED = 100
"""https://docs.aws.amazon.com/bedrock-agentcore/latest/APIReference/API_ListCodeInterpreterSessions.html"""
LONGEST_REASON = 1_000
"""Characters. CloudFormation takes an answer of 4 KB in all."""
_INTERPRETER_ID = re.compile(INTERPRETER_ID)
_GONE = "ResourceNotFoundException"
_STOPPED = (_GONE, "ConflictException", "ValidationException")
"""What a session that has ended answers: it is stopped, it is no more, it is "not active"."""

logger = Logger()
CLIENTS = AwsClients()


class NotStopped(Exception):  # noqa: N818 - it is no error of a program
    """Sessions that still live. Its text is what the stack's event shows."""


def handle(event: dict[str, Any], context: LambdaContext) -> None:
    """Answers a request of CloudFormation at its ResponseURL, whatever happens; returns nothing."""
    end = Deadline.after(context.get_remaining_time_in_millis() / 1000).earlier(ANSWERING_SECONDS)
    physical_id = str(event.get("PhysicalResourceId", "none"))
    status, reason = "SUCCESS", ""
    try:
        if event["RequestType"] != "Delete":
            # What is made is an entry of the stack and nothing else, named for the interpreter that it stands for.
            physical_id = event["ResourceProperties"]["InterpreterId"]
        elif _INTERPRETER_ID.fullmatch(physical_id):  # one that could not be made has a name that was made up
            stop_all(CLIENTS.sessions, physical_id, end)
    except Exception as error:
        logger.exception("sessions not stopped", extra={"interpreter": physical_id})
        status, reason = "FAILED", str(error) if isinstance(error, NotStopped) else _advice(physical_id, error)
    _answer(event, {"Status": status, "Reason": reason[:LONGEST_REASON], "PhysicalResourceId": physical_id})


def stop_all(sessions: BedrockAgentCoreClient, interpreter_id: str, end: Deadline) -> None:
    """Stops the interpreter's sessions until none lives, those too that start meanwhile. None of one that is gone.

    Raises NotStopped when some live at `end`, or when they may not be stopped.
    """

    def stop(session_id: str) -> Exception | None:
        return _stop(sessions, interpreter_id, session_id)

    failed: Exception | None = None
    while live := _live(sessions, interpreter_id):
        if _is_refusal(failed) or end.seconds_left < 0:
            raise NotStopped(_advice(interpreter_id, failed, live))
        logger.info("stopping sessions", extra={"interpreter": interpreter_id, "sessions": len(live)})
        with ThreadPoolExecutor(AT_ONCE) as pool:
            failed = next((error for error in pool.map(stop, live) if error is not None), None)
        time.sleep(LOOK_AGAIN_SECONDS)


def _live(sessions: BedrockAgentCoreClient, interpreter_id: str) -> list[str]:
    """Ids of up to a hundred sessions that live: the others are found when these are stopped. None of one that is gone.

    Raises ClientError.
    """
    try:
        found = sessions.list_code_interpreter_sessions(
            codeInterpreterIdentifier=interpreter_id, status="READY", maxResults=MOST_LISTED
        )
    except ClientError as error:
        if _code(error) == _GONE:
            return []
        raise
    return [item["sessionId"] for item in found["items"]]


def _stop(sessions: BedrockAgentCoreClient, interpreter_id: str, session_id: str) -> Exception | None:
    """Why a session could not be stopped; None when it is."""
    try:
        sessions.stop_code_interpreter_session(codeInterpreterIdentifier=interpreter_id, sessionId=session_id)
    except ClientError as error:
        return None if _code(error) in _STOPPED else error
    except BotoCoreError as error:
        return error
    return None


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _is_refusal(error: Exception | None) -> bool:
    return isinstance(error, ClientError) and _code(error) == "AccessDeniedException"


def _advice(interpreter_id: str, error: Exception | None, live: list[str] | None = None) -> str:
    count = f"{len(live)} sessions" if live else "Sessions"
    why = f" ({type(error).__name__}: {error})" if error else ""
    return (
        f"{count} of {interpreter_id} may still live{why}. Let nobody start others, stop them with `aws "
        f"bedrock-agentcore stop-code-interpreter-session --code-interpreter-identifier {interpreter_id} --session-id "
        "ID` or wait for their timeout, then delete or update the stack again"
    )


def _answer(event: dict[str, Any], answer: dict[str, str]) -> None:
    """Puts the answer to where CloudFormation waits for it.

    Raises OSError when it cannot, upon which Lambda calls the function again: everything here can be repeated.
    """
    same = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    # The address is signed for a request without a content type.
    request = urllib.request.Request(  # noqa: S310 - CloudFormation's own address
        event["ResponseURL"], json.dumps(answer | same).encode(), {"Content-Type": ""}, method="PUT"
    )
    with urllib.request.urlopen(request, timeout=ANSWERING_SECONDS / 3):  # noqa: S310 - likewise
        logger.info("answered", extra={"status": answer["Status"]})
