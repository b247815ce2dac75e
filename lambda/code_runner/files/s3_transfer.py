"""Carries files between a sandbox and S3 with the interpreter's execution role, past the function's memory.

The role reaches the interpreter's own folder alone, so each file stops over in its staging folder: the function copies
it there or from there inside S3, and deletes it there whatever happens.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from code_runner.agentcore.client import LONGEST_CALL_SECONDS
from code_runner.agentcore.limits import DIRECT_BYTES
from code_runner.files.chunked_transfer import CARRIER, hidden_folder
from code_runner.files.discovery import Given
from code_runner.files.errors import NotKeptError
from code_runner.sandbox_scripts.runner import run_inside
from sandpiper_contract.errors import DeadlineExceeded, ServiceFault, StorageError
from sandpiper_contract.files import SkipReason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from code_runner.agentcore.client import ToolCalls
    from code_runner.agentcore.deadline import Deadline
    from code_runner.files.discovery import FoundFile
    from code_runner.files.input_sources import Source
    from code_runner.files.staging import Staging
    from code_runner.files.storage import Stored
    from sandpiper_contract.files import OutputFile
    from sandpiper_contract.s3_objects import S3Object

log = logging.getLogger(__name__)

REASONS = {
    "unreadable": SkipReason.UNREADABLE,
    "changed": SkipReason.CHANGED,
    "refused": SkipReason.TOO_LARGE,
}


def send(
    session: ToolCalls,
    staging: Staging,
    files: Sequence[FoundFile],
    keep: Callable[[FoundFile, Stored], OutputFile],
    deadline: Deadline,
) -> Iterator[tuple[FoundFile, OutputFile | SkipReason]]:
    """Has all the files sent by one command; `keep` takes each from staging. Raises RunError."""
    with staging.places(len(files), deadline) as places:
        told = [(file.path, file.size, file.sha256, place.uri) for file, place in zip(files, places, strict=True)]
        task = {"do": "send", "region": staging.region, "files": told}
        words = run_inside(session, "sending large files to S3", CARRIER, task, LONGEST_CALL_SECONDS)
        for file, place, word in zip(files, places, _each(words, len(files)), strict=True):
            yield file, _kept(file, word, staging, place, keep)


def _kept(
    file: FoundFile,
    word: object,
    staging: Staging,
    place: S3Object,
    keep: Callable[[FoundFile, Stored], OutputFile],
) -> OutputFile | SkipReason:
    """What becomes of a file of which the sandbox says this word."""
    if word != "sent":
        return REASONS.get(str(word), SkipReason.UNREADABLE)
    try:
        staged = staging.look(place)
        return keep(file, staged) if staged.size == file.size else SkipReason.CHANGED
    except NotKeptError as error:
        return error.reason
    except (StorageError, DeadlineExceeded) as error:
        log.warning("%s", error)
        return SkipReason.NOT_STORED


def fetch(session: ToolCalls, staging: Staging, sources: Sequence[Source], deadline: Deadline) -> dict[str, Given]:
    """Has all the inputs fetched by one command. Raises RunError."""
    given: dict[str, Given] = {}
    with staging.places(len(sources), deadline) as places, hidden_folder(session) as folder:
        told = [
            (place.uri, staging.put(source.stored, place, deadline), source.path)
            for source, place in zip(sources, places, strict=True)
        ]
        task = {"do": "fetch", "region": staging.region, "folder": folder, "files": told}
        times = run_inside(session, "fetching large inputs from S3", CARRIER, task, LONGEST_CALL_SECONDS)
        for source, changed in zip(sources, _each(times, len(sources)), strict=True):
            if changed == "changed":
                raise StorageError(f"{source.place}: another file was put in its place on its way into the session")
            if not isinstance(changed, int):
                raise StorageError(
                    f"{source.place}: {source.size:,} bytes, which the session could not copy from S3 itself; an input "
                    f"of more than {DIRECT_BYTES:,} needs an execution role that reads below {staging.folder.uri}"
                )
            given[source.path] = Given(source.size, changed)
    return given


def _each(answer: Any, count: int) -> list[object]:
    """The answer for each file. Raises ServiceFault when there are not as many."""
    match answer:
        case [*each] if len(each) == count:
            return each
        case _:
            raise ServiceFault("the sandbox's answer is not about the files that it was asked for")
