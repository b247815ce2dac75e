"""Packs an installed distribution and its dependencies into a directory that Lambda can run.

It copies the files that uv or pip installed from a lock file with hashes. So synthesis downloads nothing, needs no
Docker, and deploys what was tested. Compiled files are rejected, because a bundle of pure Python runs on every
architecture and Python version. The bundle contains bytecode for the Python that packs it, which the embedded AWS runs,
and for Lambda's Python if it is installed. Any other Python ignores the bytecode and compiles the sources when it
starts.
"""

from __future__ import annotations

import csv
import functools
import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.metadata import Distribution

CACHE = Path("build")
BOTOCORE_DATA = ("botocore", "data")
SERVICES = ("bedrock-agentcore", "s3", "stepfunctions", "sts")
"""Services whose botocore models are included. The models of all services are 30 MB."""
COMPILED_SUFFIXES = frozenset({".so", ".pyd", ".dylib", ".dll"})
EXCLUDED = (
    *("*.pyi", "*/py.typed", "*.pyc", "*.pth", "*/examples-1.json", "*/tests/*", "*/test/*"),
    # Data of boto3's resources. Its clients, which the bundle uses, do not need it.
    *("boto3/examples/*", "boto3/data/*"),
)
MODIFICATION_TIME = 315_532_800
"""Modification time of every file in seconds since the epoch: 1980-01-01, the earliest date in a zip archive."""


class NotBundleable(Exception):  # noqa: N818 - describes the distribution
    """A distribution is missing, or it contains files that are compiled for one platform."""


@dataclass(frozen=True)
class Bundle:
    """A directory of modules, and a digest that changes if and only if its content changes.

    Attributes:
        directory: the directory.
        digest: the digest.
    """

    directory: Path
    digest: str

    @property
    def archive(self) -> Path:
        """The same modules as a zip archive, which the CDK copies in one step to each cloud assembly."""
        return self.directory.with_name(f"{self.directory.name}.zip")


def bundle(distribution: str = "code-runner", *, runtime: str | None = None, cache: Path = CACHE) -> Bundle:
    """Packs a distribution with its dependencies. The same content is packed once.

    Example:
        ```python
        packed = bundle("code-runner", runtime="python3.14")
        code = lambda_.Code.from_asset(str(packed.archive.absolute()), asset_hash=packed.digest)
        ```

    Args:
        distribution: name of an installed distribution. Default: `code-runner`.
        runtime: a Lambda runtime such as `python3.14`. If a command with that name exists, it compiles the bytecode for
            that runtime. Default: only the bytecode of the running Python.
        cache: parent folder of bundles. Default: `build`.

    Raises:
        NotBundleable: a distribution is missing or compiled.
    """
    compilers = _compilers(runtime)
    digest = _hash(json.dumps([digest_of(distribution), sorted(compilers)]).encode())
    directory = cache / f"{distribution}-{digest[:16]}"
    if not directory.is_dir():
        _write(_with_dependencies(distribution), compilers.values(), directory)
    packed = Bundle(directory, digest)
    if not packed.archive.is_file():
        _archive(directory, packed.archive)
    return packed


@functools.cache
def digest_of(distribution: str) -> str:
    """Returns a hash of a distribution's files, its dependencies and this module. It is computed once per process.

    Raises:
        NotBundleable: a distribution is missing or compiled.
    """
    recipe = (SERVICES, EXCLUDED, _hash(Path(__file__).read_bytes()))
    content = [(part.name, part.version, _content_hash(part)) for part in _with_dependencies(distribution)]
    return _hash(json.dumps([recipe, content]).encode())


@functools.cache
def _compilers(runtime: str | None) -> dict[str, str]:
    """Returns Python commands by the cache tag of their bytecode: the running Python, and Lambda's if installed."""
    found = {str(sys.implementation.cache_tag): sys.executable}
    command = shutil.which(runtime) if runtime else None
    if command is not None:
        # Version managers install commands that may not start a Python.
        tag = "import sys; print(sys.implementation.cache_tag)"
        completed = subprocess.run([command, "-S", "-c", tag], capture_output=True, text=True, check=False)  # noqa: S603
        if completed.returncode == 0:
            found.setdefault(completed.stdout.strip(), command)
    return found


def _with_dependencies(distribution: str) -> list[Distribution]:
    """Returns the distribution and its dependencies, sorted by name."""
    found: dict[str, Distribution] = {}
    pending = [distribution]
    while pending:
        name = canonicalize_name(pending.pop())
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise NotBundleable(
                f"{name} is not installed; install it in the environment that packs the bundle"
            ) from None
        requirements = map(Requirement, found[name].requires or ())
        pending += [each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [found[name] for name in sorted(found)]


def _content_hash(part: Distribution) -> str:
    """Returns a hash of the packed files. A wheel's RECORD lists the hash of each file; source files are read.

    Other lines of a RECORD are ignored, because they depend on the installer.
    """
    if _editable(part):
        hashes = {str(target): _hash(file.read_bytes()) for target, file in _files(part).items()}
    else:
        lines = csv.reader((part.read_text("RECORD") or "").splitlines())
        hashes = {
            name: hash_ for name, hash_, _ in lines if hash_ and _is_module(PurePosixPath(name)) and _is_included(name)
        }
    return _hash(json.dumps(hashes, sort_keys=True).encode())


def _files(part: Distribution) -> dict[PurePosixPath, Path]:
    """Returns the files of a distribution by their path in the bundle, sorted. Rejects compiled files."""
    files = _source_files(part.name) if _editable(part) else _installed_files(part)
    included = {target: file for target, file in sorted(files) if _is_included(str(target))}
    compiled = [str(target) for target in included if target.suffix in COMPILED_SUFFIXES]
    if compiled:
        raise NotBundleable(
            f"{part.name} {part.version} is compiled ({compiled[0]}); allowed: pure Python distributions"
        )
    return included


def _editable(distribution: Distribution) -> bool:
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable", False))


def _source_files(name: str) -> Iterator[tuple[PurePosixPath, Path]]:
    """Returns the files of an editable distribution's package, which is located but not imported."""
    package = name.replace("-", "_")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NotBundleable(f"{name} is an editable install without the package {package}")
    root = Path(spec.submodule_search_locations[0])
    for file in root.rglob("*"):
        if file.is_file():
            yield PurePosixPath(package, *file.relative_to(root).parts), file


def _installed_files(distribution: Distribution) -> Iterator[tuple[PurePosixPath, Path]]:
    """Returns the modules and data of an installed wheel. Scripts are excluded, and metadata is written separately."""
    for path in distribution.files or ():
        if _is_module(path):
            yield PurePosixPath(*path.parts), Path(str(path.locate()))


def _is_module(path: PurePosixPath) -> bool:
    return ".." not in path.parts and not path.parts[0].endswith((".dist-info", ".data"))


def _is_included(name: str) -> bool:
    parts = name.split("/")
    if tuple(parts[:2]) == BOTOCORE_DATA and len(parts) > 3:
        return parts[2] in SERVICES and not fnmatchcase(name, "*/examples-1.json")
    return not any(fnmatchcase(name, pattern) for pattern in EXCLUDED)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(parts: list[Distribution], compilers: Iterable[str], directory: Path) -> None:
    """Writes to a temporary directory and renames it, so that a directory with the final name is always complete."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=directory.parent))
    try:
        for part in parts:
            for path, file in _files(part).items():
                target = unfinished / path
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.parts[:2] == BOTOCORE_DATA:
                    _write_minified(file, target)
                else:
                    shutil.copyfile(file, target)
            _write_metadata(part, unfinished)
        for compiler in compilers:
            _compile(unfinished, compiler)
        _normalize(unfinished)
        try:
            unfinished.rename(directory)
        except OSError:
            # Another process has written the same content.
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_minified(file: Path, target: Path) -> None:
    """Writes a JSON file of botocore without documentation, endpoints of other services and compression.

    botocore reads these files at each cold start, and most of their content is documentation.
    """
    compressed = file.suffix == ".gz"
    data = json.loads(gzip.decompress(file.read_bytes()) if compressed else file.read_bytes())
    if file.name == "endpoints.json":
        for partition in data["partitions"]:
            services = partition["services"].items()
            partition["services"] = {name: service for name, service in services if name in SERVICES}
    text = json.dumps(_without_documentation(data), separators=(",", ":"))
    (target.with_suffix("") if compressed else target).write_text(text, encoding="utf-8")


def _without_documentation(data: Any) -> Any:
    """Returns the data with empty documentation strings. They are not removed, because botocore requires some."""
    if isinstance(data, list):
        return [_without_documentation(entry) for entry in cast("list[Any]", data)]
    if isinstance(data, dict):
        members = cast("dict[str, Any]", data).items()
        return {
            name: "" if name == "documentation" and isinstance(value, str) else _without_documentation(value)
            for name, value in members
        }
    return data


def _write_metadata(part: Distribution, root: Path) -> None:
    """Writes the metadata that `importlib.metadata.version` reads."""
    directory = root / f"{part.name.replace('-', '_')}-{part.version}.dist-info"
    directory.mkdir()
    text = f"Metadata-Version: 2.1\nName: {part.name}\nVersion: {part.version}\n"
    (directory / "METADATA").write_text(text, encoding="utf-8")


def _compile(root: Path, python: str) -> None:
    """Adds bytecode that Python uses without comparing it with the modification time of the source.

    A separate process compiles all files, because bytecode depends on the strings that the process has interned before.
    """
    arguments = ("--invalidation-mode", "unchecked-hash", "-o", "0", "-s", str(root), "-p", "/var/task", "-q")
    completed = subprocess.run(  # noqa: S603 - an installed Python
        [python, "-s", "-S", "-m", "compileall", *arguments, str(root)],
        # Commands of version managers use PATH to locate the Python that they start.
        env={"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode != 0:
        output = completed.stdout.strip() + completed.stderr.strip()
        raise NotBundleable(f"{python} cannot compile the bundle: {output}")


def _normalize(root: Path) -> None:
    """Sets the same modification time and mode for all files."""
    for path in sorted(root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (MODIFICATION_TIME, MODIFICATION_TIME))
    root.chmod(0o755)


def _archive(directory: Path, archive: Path) -> None:
    """Writes the archive to a temporary file and renames it, so that an archive with the final name is complete."""
    handle, name = tempfile.mkstemp(prefix=".unfinished-", suffix=".zip", dir=archive.parent)
    os.close(handle)
    with zipfile.ZipFile(name, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(directory.rglob("*")):
            if path.is_file():
                # The time and mode of every file are the same, so that the same content is the same archive.
                file.write(path, path.relative_to(directory))
    Path(name).chmod(0o644)
    Path(name).rename(archive)
