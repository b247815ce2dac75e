"""The folder where files stop over on their way between S3 and a sandbox, which acts with its execution role there.

Code of the interpreter's other sessions reaches it too, as all of the interpreter's own folder. So names are not to be
guessed, nothing stays, and nothing is taken from it that is not as it was looked at.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.agentcore.boto_clients import COPY_SECONDS
from code_runner.agentcore.service_errors import FAILURES, storage_errors
from code_runner.files.storage import Stored, sha256_of
from sandpiper_contract.errors import DeadlineExceeded, StorageError
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Generator

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline

log = logging.getLogger(__name__)

DELETED_AT_ONCE = 1_000
"""S3's limit. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
LATE_SECONDS = 5
"""How long after the deadline a deletion is still begun: one that came because the time was over is worth it."""


@dataclass(frozen=True, eq=False, repr=False)
class Staging:
    """`folder` is a run's own, without a slash at its end."""

    clients: Clients
    folder: S3Object

    @contextmanager
    def places(self, count: int, deadline: Deadline) -> Generator[list[S3Object]]:
        """Addresses that nobody has had, at which nothing is left.

        What could not be deleted in time is logged; the bucket's lifecycle ends it in a day.
        """
        folder = f"{self.folder.key}/{secrets.token_hex(8)}"
        places = [S3Object(self.folder.bucket, f"{folder}/{number}") for number in range(count)]
        try:
            yield places
        finally:
            for start in range(0, count, DELETED_AT_ONCE):
                self._delete(places[start : start + DELETED_AT_ONCE], deadline)

    def _delete(self, places: list[S3Object], deadline: Deadline) -> None:
        """Deletes them in one call, which s3:DeleteObject on each allows."""
        try:
            deadline.require(-LATE_SECONDS, "deleting what is staged")
            answer = self.clients.s3.delete_objects(
                Bucket=self.folder.bucket, Delete={"Objects": [{"Key": place.key} for place in places], "Quiet": True}
            )
        except (*FAILURES, DeadlineExceeded) as error:
            log.warning("%s and %d beside it not deleted: %s", places[0].uri, len(places) - 1, error)
        else:
            for refused in answer.get("Errors", []):
                log.warning(
                    "s3://%s/%s not deleted: %s", self.folder.bucket, refused.get("Key"), refused.get("Message")
                )

    @property
    def region(self) -> str:
        """Where the bucket is, by which the AWS CLI in a sandbox finds it: nobody promises that it knows."""
        return self.clients.s3.meta.region_name

    def put(self, source: Stored, place: S3Object, deadline: Deadline) -> str:
        """Copies an input here, inside S3; the answer is its SHA-256, as S3 tells it.

        Raises StorageError, also for one that was changed, or DeadlineExceeded when there is no time to wait for it.
        """
        deadline.require(COPY_SECONDS, f"copying {source.address.uri}")
        with storage_errors(f"copying {source.address.uri} to", place.uri):
            answer = self.clients.copying.copy_object(
                Bucket=place.bucket,
                Key=place.key,
                CopySource={"Bucket": source.address.bucket, "Key": source.address.key},
                CopySourceIfMatch=source.etag,
                ChecksumAlgorithm="SHA256",
                # Its tags stay behind: to read them is a permission of its own, and the copy lives for a moment.
                TaggingDirective="REPLACE",
            )
        digest = sha256_of(answer["CopyObjectResult"])
        if digest is None:
            raise StorageError(f"copying {source.address.uri}: S3 answered without its SHA-256")
        return digest

    def look(self, place: S3Object) -> Stored:
        """What a session has put here. Raises StorageError."""
        with storage_errors("reading", place.uri):
            found = self.clients.s3.head_object(Bucket=place.bucket, Key=place.key)
        return Stored(place, found["ContentLength"], found["ETag"])
