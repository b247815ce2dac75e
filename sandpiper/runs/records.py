"""Reads the idempotency records of an execution: the sessions of its states, and the results of its programs.

The records have results that Step Functions does not keep: those of an execution that failed or was stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.boto_clients import AwsClients
from code_runner.agentcore.concurrency import map_concurrently
from code_runner.agentcore.service_errors import storage_errors
from code_runner.batches.batch_folder import ITEMS_STATE
from code_runner.execution_sessions import is_record
from code_runner.idempotency.stored_record import Status, StoredRecord, read_record
from sandpiper.errors import CliError
from sandpiper.runs.executions import ProgramResult, is_result
from sandpiper_contract.errors import RunError
from sandpiper_contract.run import Run
from sandpiper_contract.s3_objects import S3Object
from sandpiper_contract.settings import RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import boto3

    from sandpiper.deployment import Deployment

MAX_OBJECTS = 10_000
"""The number of objects of an execution that are searched for records. A batch has millions."""
ITEMS = f"{ITEMS_STATE}/"


@dataclass(frozen=True)
class StateRecord:
    """The idempotency record of one visit of a state.

    Attributes:
        state: the state's name with the time at which it was entered, as in the key of the record.
        stored: the record.
    """

    state: str
    stored: StoredRecord

    @property
    def may_have_run(self) -> bool:
        """Whether its code may have been accepted."""
        return self.stored.status is not Status.RELEASED

    @property
    def calls(self) -> int | None:
        """The calls to AgentCore; None if they were not counted, as only batches count them."""
        return int(self.stored.usage["calls"]) if self.stored.usage else None

    @property
    def session_id(self) -> str | None:
        """The session that the state started or used; None if it is not known."""
        if self.stored.session is not None:
            return self.stored.session.session_id
        result = self.stored.result or {}
        handle: Mapping[str, Any] | None = result.get("task", result).get("session")
        return handle["sessionId"] if handle else None


def read_records(session: boto3.Session, deployment: Deployment, execution: str) -> list[StateRecord]:
    """Returns the records of an execution, given by its ARN, in the order in which its states were entered.

    Those of the items of a batch are not read.

    Raises:
        CliError: A record cannot be read.
    """
    folder = f"{deployment.prefix}/{RUNS}/{Run(execution).execution_key}/"
    s3 = AwsClients(session).s3
    try:
        with storage_errors("listing the records of the execution", f"s3://{deployment.bucket}/{folder}"):
            pages = s3.get_paginator("list_objects_v2").paginate(Bucket=deployment.bucket, Prefix=folder)
            keys = (item.get("Key", "").removeprefix(folder) for page in pages for item in page.get("Contents", []))
            found = [key for key in islice(keys, MAX_OBJECTS) if is_record(key) and not key.startswith(ITEMS)]
        stored = map_concurrently(lambda key: read_record(s3, S3Object(deployment.bucket, folder + key)).record, found)
    except RunError as error:
        raise CliError(f"{error}; required: s3:ListBucket and s3:GetObject below {folder}") from None
    records = [StateRecord(key.rpartition("/")[0], record) for key, record in zip(found, stored, strict=True)]
    return sorted(records, key=lambda record: record.state.partition("/")[2])


def recorded_results(records: Iterable[StateRecord]) -> list[ProgramResult]:
    """Returns the results of the programs of an execution, in their order."""
    results = [record.stored.result for record in records if is_result(record.stored.result)]
    several = len(results) > 1
    return [ProgramResult(f"step {number}" if several else "", result or {}) for number, result in enumerate(results)]
