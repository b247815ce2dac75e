"""Input files of this machine: small files are sent in the request, larger ones are uploaded to S3."""

from __future__ import annotations

import base64
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from sandpiper.errors import CliError
from sandpiper_contract.field_types import parse_relative_path
from sandpiper_contract.files import MAX_INPUTS
from sandpiper_contract.program_source import encode_program
from sandpiper_contract.settings import INPUTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import boto3

    from sandpiper.deployment import Deployment

MAX_FOLDER_FILES = 1_000
"""The maximum number of files of one input folder in S3."""
MAX_REQUEST_BYTES = 192 * 1024
"""The largest request as JSON. A state of Step Functions holds 256 KiB, which includes the result."""
S3 = "s3://"


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine, and its path in the sandbox."""

    path: str
    source: Path
    folder: str = ""
    """The path in the sandbox of the folder that was named, if the file belongs to one."""

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.source.stat().st_size

    def read(self) -> bytes:
        """Returns the content. Raises CliError."""
        try:
            return self.source.read_bytes()
        except OSError as error:
            raise CliError(f"--input {self.source}: {error.strerror}") from None


def parse_inputs(options: Sequence[str]) -> tuple[list[LocalFile], list[dict[str, str]]]:
    """Parses the `[PATH=]SOURCE` values of `--input`.

    Without PATH, the path in the sandbox is the name of the source. A value that is the name of an existing file is
    not split at `=`. A folder stands for its files and those of its subfolders.

    Returns:
        The files of this machine, and the inputs in S3 as in a request.

    Raises:
        CliError: A source is not a readable file or folder, or a folder contains a link.
    """
    local: list[LocalFile] = []
    remote: list[dict[str, str]] = []
    for option in options:
        path, source = _split(option)
        if source.startswith(S3):
            field = "s3Prefix" if source.endswith("/") else "s3Uri"
            remote.append({"path": path or source.rstrip("/").rpartition("/")[2], field: source})
        elif Path(source).is_dir():
            local += _folder_files(path.rstrip("/") or Path(source).resolve().name, Path(source))
        else:
            local.append(LocalFile(path or Path(source).name, _require_file(Path(source))))
    return local, remote


def _folder_files(path: str, folder: Path) -> list[LocalFile]:
    """Returns the files of a folder and its subfolders. Raises CliError for links, other objects and no files."""
    files: list[LocalFile] = []

    def fail(error: OSError) -> None:
        raise CliError(f"--input {error.filename}: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=fail):
        folders.sort()
        for entry in (Path(parent, name) for name in (*folders, *sorted(names))):
            if entry.is_symlink():
                raise CliError(f"--input {entry} is a symbolic link; allowed: files and folders")
        for entry in (Path(parent, name) for name in sorted(names)):
            files.append(LocalFile(f"{path}/{entry.relative_to(folder).as_posix()}", _require_file(entry), path))
    if not 0 < len(files) <= MAX_FOLDER_FILES:
        raise CliError(f"--input {folder} has {len(files):,} files; allowed: 1 to {MAX_FOLDER_FILES:,}")
    return files


def _split(option: str) -> tuple[str, str]:
    path, separator, source = option.partition("=")
    if not separator or option.startswith(S3) or Path(option).exists():
        return "", option
    return path, source


def _require_file(source: Path) -> Path:
    try:
        if source.is_file():
            with source.open("rb"):
                return source
        source.stat()
    except OSError as error:
        raise CliError(f"--input {source}: {error.strerror}") from None
    raise CliError(
        f"--input {source} is neither a file nor a folder; allowed: a file or a folder of this machine, "
        "s3://BUCKET/KEY, or s3://BUCKET/FOLDER/ for a folder below the tenant's inputs"
    )


def with_empty_files(request: Mapping[str, Any], files: Sequence[LocalFile]) -> dict[str, Any]:
    """Returns the request as if every file were empty, so that it can be validated before a file is read."""
    inline, folders = [file for file in files if not file.folder], _folders(files)
    if len(files) <= MAX_INPUTS:
        return _with_inputs(request, [{"path": file.path, "base64": ""} for file in files])
    for file in files:
        parse_relative_path("inputs.path", file.path)
    prefixes = [{"path": folder, "s3Prefix": "s3://bucket/folder/"} for folder in folders]
    return _with_inputs(request, [*({"path": file.path, "base64": ""} for file in inline), *prefixes])


def _folders(files: Sequence[LocalFile]) -> list[str]:
    """Returns the paths of the folders that were named."""
    return list(dict.fromkeys(file.folder for file in files if file.folder))


def with_files(
    session: boto3.Session,
    deployment: Deployment,
    request: Mapping[str, Any],
    files: Sequence[LocalFile],
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Returns the request with its files. Uploads the files, and a long program, when the request is too large.

    Args:
        session: the credentials for the uploads.
        deployment: the tenant whose inputs folder receives the uploads.
        request: the request without the files.
        files: the files.
        progress: called with a line about each upload.

    Raises:
        CliError: A file cannot be read or uploaded.
    """
    uploads = Uploads(session, deployment, progress)
    complete = with_empty_files(request, files)
    encoded = sum(-(-file.size // 3) * 4 for file in files)
    if len(files) <= MAX_INPUTS and request_size(complete) + encoded <= MAX_REQUEST_BYTES:
        return _with_inputs(request, [_inline(file) for file in files])
    addresses = {file: uploads.put_file(file) for file in files}
    uploaded: list[Mapping[str, object]] = [
        {"path": file.path, "s3Uri": address} for file, address in addresses.items() if not file.folder
    ]
    uploaded += [{"path": folder, "s3Prefix": uploads.folder_address(folder)} for folder in _folders(files)]
    complete = _with_inputs(request, uploaded)
    if request_size(complete) > MAX_REQUEST_BYTES and "code" in complete:
        program = encode_program(complete.pop("code"), complete.get("language", "python"))
        complete["codeS3Uri"] = uploads.put_program(program)
    return complete


def _with_inputs(request: Mapping[str, Any], local: Sequence[Mapping[str, object]]) -> dict[str, Any]:
    inputs = [*request.get("inputs", ()), *local]
    return {**request, **({"inputs": inputs} if inputs else {})}


def _inline(file: LocalFile) -> dict[str, object]:
    return {"path": file.path, "base64": base64.b64encode(file.read()).decode()}


def request_size(request: Mapping[str, object]) -> int:
    """Returns the number of characters of a request as JSON."""
    return len(json.dumps(request))


class Uploads:
    """Uploads objects to a new folder below the tenant's inputs."""

    def __init__(self, session: boto3.Session, deployment: Deployment, progress: Callable[[str], None]) -> None:
        self._s3 = session.client("s3")
        self._bucket = deployment.bucket
        self._folder = f"{deployment.prefix}/{INPUTS}/{uuid.uuid4()}"
        self._progress = progress

    def put_file(self, file: LocalFile) -> str:
        """Uploads a file, in parts when it is large, and returns its S3 URI."""
        sent, size = 0, file.size

        def report(count: int) -> None:
            nonlocal sent
            sent += count
            self._progress(f"uploading {file.path}, {sent:,} of {size:,} bytes")

        key = f"{self._folder}/{file.path}"
        report(0)
        return self._put(
            f"--input {file.source}",
            key,
            lambda: self._s3.upload_file(str(file.source), self._bucket, key, Callback=report),
        )

    def folder_address(self, path: str) -> str:
        """Returns the S3 URI of an uploaded folder."""
        return f"{S3}{self._bucket}/{self._folder}/{path}/"

    def put_program(self, program: bytes, name: str = "program") -> str:
        """Uploads a program next to the folder of the files, and returns its S3 URI."""
        key = f"{self._folder}-{name}"
        self._progress("uploading the program")
        return self._put("the program", key, lambda: self._s3.put_object(Bucket=self._bucket, Key=key, Body=program))

    def _put(self, subject: str, key: str, put: Callable[[], object]) -> str:
        address = f"{S3}{self._bucket}/{key}"
        try:
            put()
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            raise CliError(f"{subject}: {address} cannot be written: {error}") from None
        return address
