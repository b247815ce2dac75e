"""Transfers files directly between a sandbox and S3 with the interpreter's execution role.

The role reaches only the interpreter's own folder. So each file is staged there: the function copies it to or from the
folder within S3, and always deletes the staged object.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.client import MAX_CALL_SECONDS
from code_runner.agentcore.limits import DIRECT_TRANSFER_BYTES
from code_runner.files.chunked_transfer import TRANSFER, temporary_folder
from code_runner.files.discovery import WrittenInput
from code_runner.files.errors import FileSkipped
from code_runner.sandbox_scripts.runner import run_script
from sandpiper_contract.errors import DeadlineExceeded, ServiceFault, StorageError
from sandpiper_contract.files import SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from code_runner.agentcore.client import CodeInterpreterClient
    from code_runner.files.discovery import FoundFile
    from code_runner.files.input_sources import Source
    from code_runner.files.s3_objects import StoredObject
    from code_runner.files.staging import Staging
    from sandpiper_contract.files import OutputFile
    from sandpiper_contract.s3_objects import S3Object

log = logging.getLogger(__name__)

SKIP_REASONS = {
    "unreadable": SkipReason.UNREADABLE,
    "changed": SkipReason.CHANGED,
    "refused": SkipReason.TOO_LARGE,
}
"""The reason for each status of the script other than `sent`."""


def send(
    client: CodeInterpreterClient,
    staging: Staging,
    files: Sequence[FoundFile],
    store: Callable[[FoundFile, StoredObject], OutputFile],
) -> Iterator[tuple[FoundFile, OutputFile | SkipReason]]:
    """Sends all files to staging with one command and stores each from there.

    Args:
        client: The client of the session.
        staging: The staging folder.
        files: The files to send.
        store: Copies a staged file to the run's folder and returns the output file.

    Yields:
        Each file with the output file, or with the reason why it was skipped.

    Raises:
        RunError: The command failed.
    """
    with staging.temporary_objects(len(files), client.deadline) as addresses:
        rows = [
            (file.path, file.size, file.sha256, address.uri) for file, address in zip(files, addresses, strict=True)
        ]
        task = {"operation": "send", "region": staging.region, "files": rows}
        output = run_script(client, "sending large files to S3", TRANSFER, task, MAX_CALL_SECONDS)
        for file, address, status in zip(files, addresses, _per_file(output, len(files)), strict=True):
            yield file, _store(file, status, staging, address, store)


def _store(
    file: FoundFile,
    status: object,
    staging: Staging,
    address: S3Object,
    store: Callable[[FoundFile, StoredObject], OutputFile],
) -> OutputFile | SkipReason:
    """Stores a file for which the script returned `status`, or returns why it is skipped."""
    if status != "sent":
        return SKIP_REASONS.get(str(status), SkipReason.UNREADABLE)
    try:
        staged = staging.head(address)
        return store(file, staged) if staged.size == file.size else SkipReason.CHANGED
    except FileSkipped as error:
        return error.reason
    except (StorageError, DeadlineExceeded) as error:
        log.warning("%s", error)
        return SkipReason.NOT_STORED


def fetch(client: CodeInterpreterClient, staging: Staging, sources: Sequence[Source]) -> dict[str, WrittenInput]:
    """Stages all inputs and fetches them with one command. Raises RunError.

    Returns:
        The written inputs by path.
    """
    written: dict[str, WrittenInput] = {}
    objects = staging.temporary_objects(len(sources), client.deadline)
    with objects as addresses, temporary_folder(client) as folder:
        rows = [
            (address.uri, staging.copy_in(source.stored, address, client.deadline), source.path)
            for source, address in zip(sources, addresses, strict=True)
        ]
        task = {"operation": "fetch", "region": staging.region, "folder": folder, "files": rows}
        output = run_script(client, "fetching large inputs from S3", TRANSFER, task, MAX_CALL_SECONDS)
        for source, changed_at in zip(sources, _per_file(output, len(sources)), strict=True):
            if changed_at == "changed":
                raise StorageError(f"{source.location}: the staged object was replaced before the session read it")
            if not isinstance(changed_at, int):
                raise StorageError(
                    f"{source.location}: {source.size:,} bytes, which the session could not copy from S3; an input of "
                    f"more than {DIRECT_TRANSFER_BYTES:,} bytes needs an execution role that can read "
                    f"{staging.folder.uri}"
                )
            written[source.path] = WrittenInput(source.size, changed_at)
    return written


def _per_file(output: Any, count: int) -> list[object]:
    """Returns the script's result for each file. Raises ServiceFault if their number is different."""
    match output:
        case [*each] if len(each) == count:
            return each
        case _:
            raise ServiceFault("the script's output does not match the requested files")
