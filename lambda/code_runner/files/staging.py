"""The staging folder, which large files pass through between S3 and a sandbox with its execution role.

Code in other sessions of the same interpreter can reach the folder too. So names are random, every file is deleted
after its transfer, and a file is used only if the object is unchanged since it was inspected.
"""

from __future__ import annotations

import logging
import secrets
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from code_runner.agentcore.boto_clients import COPY_TIMEOUT_SECONDS
from code_runner.agentcore.service_errors import AWS_ERRORS, storage_errors
from code_runner.files.s3_objects import StoredObject, sha256_of
from sandpiper_contract.errors import DeadlineExceeded, StorageError
from sandpiper_contract.s3_objects import S3Object

if TYPE_CHECKING:
    from collections.abc import Generator

    from code_runner.agentcore.boto_clients import Clients
    from code_runner.agentcore.deadline import Deadline

log = logging.getLogger(__name__)

MAX_DELETED_OBJECTS = 1_000
"""S3's limit for one call. https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html"""
DELETION_GRACE_SECONDS = 5
"""A deletion may start this long after the deadline, because a passed deadline is a common reason for it."""


@dataclass(frozen=True, eq=False, repr=False)
class Staging:
    """The staging folder of one run; `folder` has no slash at its end."""

    clients: Clients
    folder: S3Object

    @contextmanager
    def temporary_objects(self, count: int, deadline: Deadline) -> Generator[list[S3Object]]:
        """Yields unused addresses, and deletes their objects afterwards.

        A failed deletion is logged; the bucket's lifecycle rule deletes the object after a day.
        """
        folder = f"{self.folder.key}/{secrets.token_hex(8)}"
        addresses = [S3Object(self.folder.bucket, f"{folder}/{number}") for number in range(count)]
        try:
            yield addresses
        finally:
            for start in range(0, count, MAX_DELETED_OBJECTS):
                self._delete(addresses[start : start + MAX_DELETED_OBJECTS], deadline)

    def _delete(self, addresses: list[S3Object], deadline: Deadline) -> None:
        """Deletes the objects in one call, which needs s3:DeleteObject on each."""
        try:
            deadline.require(-DELETION_GRACE_SECONDS, "deleting staged objects")
            response = self.clients.s3.delete_objects(
                Bucket=self.folder.bucket,
                Delete={"Objects": [{"Key": address.key} for address in addresses], "Quiet": True},
            )
        except (*AWS_ERRORS, DeadlineExceeded) as error:
            log.warning("%s and %d more staged objects not deleted: %s", addresses[0].uri, len(addresses) - 1, error)
        else:
            for failure in response.get("Errors", []):
                log.warning(
                    "s3://%s/%s not deleted: %s", self.folder.bucket, failure.get("Key"), failure.get("Message")
                )

    @property
    def region(self) -> str:
        """The bucket's Region, which the AWS CLI in the sandbox needs and cannot always determine."""
        return self.clients.s3.meta.region_name

    def copy_in(self, source: StoredObject, target: S3Object, deadline: Deadline) -> str:
        """Copies an input to the staging folder, within S3.

        Returns:
            Its SHA-256, as computed by S3.

        Raises:
            StorageError: S3 failed or the object has changed.
            DeadlineExceeded: Not enough time is left for a copy.
        """
        deadline.require(COPY_TIMEOUT_SECONDS, f"copying {source.address.uri}")
        with storage_errors(f"copying {source.address.uri} to", target.uri):
            response = self.clients.s3_copy.copy_object(
                Bucket=target.bucket,
                Key=target.key,
                CopySource={"Bucket": source.address.bucket, "Key": source.address.key},
                CopySourceIfMatch=source.etag,
                ChecksumAlgorithm="SHA256",
                # Tags are not copied: reading them needs another permission, and the copy is temporary.
                TaggingDirective="REPLACE",
            )
        digest = sha256_of(response["CopyObjectResult"])
        if digest is None:
            raise StorageError(f"copying {source.address.uri}: the response of S3 has no SHA-256")
        return digest

    def head(self, address: S3Object) -> StoredObject:
        """Returns size and ETag of an object that a session has sent. Raises StorageError."""
        with storage_errors("reading", address.uri):
            response = self.clients.s3.head_object(Bucket=address.bucket, Key=address.key)
        return StoredObject(address, response["ContentLength"], response["ETag"])
