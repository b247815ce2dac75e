"""Starts a batch: a program that runs once for each item of a file of this machine or of S3."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from code_runner.batches.preparation import check_inputs
from sandpiper.batch_items import ItemsSource, count_items, place_items
from sandpiper.errors import CliError, InvalidOptionsError
from sandpiper.execution_control import require_workflow, start_execution
from sandpiper.local_inputs import with_empty_files, with_files
from sandpiper.names import RUN_BATCH
from sandpiper_contract.batches import RunBatch
from sandpiper_contract.errors import InvalidRequest
from sandpiper_contract.s3_objects import S3Object
from sandpiper_contract.settings import INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

    from sandpiper.deployment import Deployment
    from sandpiper.local_inputs import LocalFile


def validated(batch: Mapping[str, Any], items: ItemsSource, inputs: Sequence[LocalFile]) -> RunBatch:
    """Returns the request of a batch, before anything is uploaded.

    Args:
        batch: the request without `items` and without the input files of this machine.
        items: the items.
        inputs: the input files of this machine, which every item gets.

    Raises:
        InvalidOptionsError: The request is invalid.
    """
    location = "s3://bucket/items" if items.is_local else items.source
    complete = {
        **batch,
        "items": {"location": location, "format": items.format},
        "request": with_empty_files(batch["request"], inputs),
    }
    try:
        return RunBatch.from_json(complete)
    except InvalidRequest as error:
        raise InvalidOptionsError(str(error)) from None


def start_batch(
    session: boto3.Session,
    deployment: Deployment,
    batch: Mapping[str, Any],
    items: ItemsSource,
    inputs: Sequence[LocalFile],
    progress: Callable[[str], None],
) -> str:
    """Validates a batch and its local items, uploads them, starts the execution and returns its ARN.

    Args:
        session: the credentials.
        deployment: the tenant.
        batch: the request without `items` and without the input files of this machine.
        items: the items.
        inputs: the input files of this machine, which every item gets.
        progress: called with a line about what the command is doing.

    Raises:
        InvalidOptionsError: The request is invalid.
        CommandInterruptedError: The command was interrupted. The execution is stopped if it was started.
        CliError: An item is invalid, or an AWS call failed. Nothing was started.
    """
    request = validated(batch, items, inputs)
    machine = require_workflow(deployment, RUN_BATCH)
    _require_concurrency(deployment, request.max_concurrency)
    if items.is_local:
        folder = S3Object(deployment.bucket, f"{deployment.prefix}/{INPUTS}")
        count_items(items, progress, lambda place, text: check_inputs(request, place, text, folder))
    program = with_files(session, deployment, batch["request"], inputs, progress)
    placed = place_items(session, deployment, items, progress)
    return start_execution(session, machine, {**batch, "items": placed, "request": program})


def _require_concurrency(deployment: Deployment, requested: int | None) -> None:
    maximum = deployment.max_batch_concurrency
    if requested is not None and maximum is not None and requested > maximum:
        raise CliError(
            f"--max-concurrency is {requested}; allowed: 1 to {maximum}, the tenant's share of the quota of sessions. "
            "To raise it, set `session_function.reserved_concurrency` in the environment file"
        )
