"""Files of this machine that a run is given: they travel in its request, or by S3 where that would be too long."""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.errors import CliError
from sandpiper_contract.settings import INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

    from sandpiper.deployment import Deployment

REQUEST_BYTES = 192 * 1024
"""Of a request as JSON: a state of Step Functions holds 256 KiB, of which the run and the result's frame take some."""
S3 = "s3://"


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine, and where it lies beside the program."""

    path: str
    source: Path

    @property
    def size(self) -> int:
        """In bytes."""
        return self.source.stat().st_size


def parse(options: Sequence[str]) -> tuple[list[LocalFile], list[dict[str, str]]]:
    """Reads `[PATH=]SOURCE` of `--input`: files of this machine, and what lies in S3, as requests have it.

    Without PATH the source's own name is where it lies. A file whose name has a `=` is meant by the whole of it. Raises
    CliError.
    """
    local: list[LocalFile] = []
    remote: list[dict[str, str]] = []
    for option in options:
        path, source = _parted(option)
        if source.startswith(S3):
            kind = "s3Prefix" if source.endswith("/") else "s3Uri"
            remote.append({"path": path or source.rstrip("/").rpartition("/")[2], kind: source})
        else:
            local.append(LocalFile(path or Path(source).name, _regular(Path(source))))
    return local, remote


def _parted(option: str) -> tuple[str, str]:
    path, separator, source = option.partition("=")
    if not separator or option.startswith(S3) or Path(option).exists():
        return "", option
    return path, source


def _regular(source: Path) -> Path:
    try:
        if source.is_file():
            with source.open("rb"):
                return source
        source.stat()
    except OSError as error:
        raise CliError(f"--input {source}: {error.strerror}") from None
    raise CliError(
        f"--input {source} is no file; allowed: a file of this machine, s3://BUCKET/KEY, or s3://BUCKET/FOLDER/ for "
        "a folder that lies below the tenant's inputs"
    )


def placed(request: Mapping[str, Any], files: Sequence[LocalFile]) -> dict[str, Any]:
    """The request as it would be if every file were empty: what is wrong with it is known before a file is read."""
    return _with(request, [{"path": file.path, "base64": ""} for file in files])


def carried(
    session: boto3.Session,
    deployment: Deployment,
    request: Mapping[str, Any],
    files: Sequence[LocalFile],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """The request with its files, of which as much as is too long for it is put into S3. Raises CliError."""
    uploads = _Uploads(session, deployment, progress)
    whole = placed(request, files)
    if _size(whole) + sum(-(-file.size // 3) * 4 for file in files) <= REQUEST_BYTES:
        return _with(request, [_inline(file) for file in files])
    whole = _with(request, [{"path": file.path, "s3Uri": uploads.put(file)} for file in files])
    if _size(whole) > REQUEST_BYTES and "code" in whole:
        whole["codeS3Uri"] = uploads.put_program(whole.pop("code"))
    return whole


def _with(request: Mapping[str, Any], local: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    inputs = [*request.get("inputs", ()), *local]
    return {**request, **({"inputs": inputs} if inputs else {})}


def _inline(file: LocalFile) -> dict[str, object]:
    try:
        return {"path": file.path, "base64": base64.b64encode(file.source.read_bytes()).decode()}
    except OSError as error:
        raise CliError(f"--input {file.source}: {error.strerror}") from None


def _size(request: Mapping[str, object]) -> int:
    return len(json.dumps(request))


class _Uploads:
    """Objects in a new folder below the tenant's inputs."""

    def __init__(self, session: boto3.Session, deployment: Deployment, progress: Callable[[str], None]) -> None:
        self._s3 = session.client("s3")
        self._bucket = deployment.bucket
        self._folder = f"{deployment.prefix}/{INPUTS}/{uuid.uuid4()}"
        self._progress = progress

    def put(self, file: LocalFile) -> str:
        """Puts a file, in parts where it is large, and returns its address."""
        sent, size = 0, file.size

        def tell(count: int) -> None:
            nonlocal sent
            sent += count
            self._progress(f"uploading {file.path}, {sent:,} of {size:,} bytes")

        key = f"{self._folder}/{file.path}"
        tell(0)
        return self._put(
            f"--input {file.source}",
            key,
            lambda: self._s3.upload_file(str(file.source), self._bucket, key, Callback=tell),
        )

    def put_program(self, code: str) -> str:
        """Puts the program beside the folder of files, and returns its address."""
        key = f"{self._folder}-program"
        self._progress("uploading the program")
        return self._put(
            "the program", key, lambda: self._s3.put_object(Bucket=self._bucket, Key=key, Body=code.encode())
        )

    def _put(self, what: str, key: str, put: Callable[[], object]) -> str:
        address = f"{S3}{self._bucket}/{key}"
        try:
            put()
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise CliError(f"{what}: {address} cannot be written: {error}") from None
        return address
