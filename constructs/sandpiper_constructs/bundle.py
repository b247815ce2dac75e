"""Packs an installed distribution and what it depends on into a directory that Lambda runs.

Not an installer: it copies what uv (or pip) has put into the environment, from a lock file and its hashes. So synthesis
resolves and downloads nothing, needs no Docker, and what was tested is what is deployed. Installing for a target
platform would only be needed for compiled files; those are refused, because a bundle of pure Python fits every
architecture and Python version. Bytecode is added to it: for the Python that packs, which the embedded AWS runs, and
for Lambda's own if the machine has it. Any other Python ignores it and compiles at its start.
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
SERVICES = ("bedrock-agentcore", "s3", "sts")
"""The services whose models a bundle keeps; botocore's models of all services are 30 MB."""
COMPILED_SUFFIXES = frozenset({".so", ".pyd", ".dylib", ".dll"})
DROPPED = (
    *("*.pyi", "*/py.typed", "*.pyc", "*.pth", "*/examples-1.json", "*/tests/*", "*/test/*"),
    # What boto3 needs for its resources, which nobody may use in a bundle; its clients need nothing of it.
    *("boto3/examples/*", "boto3/data/*"),
)
MODIFIED = 315_532_800
"""Seconds since the epoch at 1980-01-01, the first time that a zip archive can hold: every file's."""


class NotBundleable(Exception):  # noqa: N818 - a name of the field
    """A distribution that cannot go into a bundle: it is missing, or it is compiled for one platform."""


@dataclass(frozen=True)
class Bundle:
    """A directory of modules, and a digest that changes if and only if what went into it does."""

    directory: Path
    digest: str


def bundle(distribution: str = "code-runner", *, runtime: str | None = None, cache: Path = CACHE) -> Bundle:
    """Packs `distribution` with its dependencies, once for each content, below `cache`.

    `runtime` is Lambda's name of a Python, such as python3.14; a command of that name gives the bytecode for it.
    Raises NotBundleable.
    """
    compilers = _compilers(runtime)
    digest = _hash(json.dumps([digest_of(distribution), sorted(compilers)]).encode())
    directory = cache / f"{distribution}-{digest[:16]}"
    if not directory.is_dir():
        _write(_closure(distribution), compilers.values(), directory)
    return Bundle(directory, digest)


@functools.cache
def digest_of(distribution: str) -> str:
    """What changes with a bundle's sources: each part's, and how they are packed. Found once in a process.

    Raises NotBundleable.
    """
    recipe = (SERVICES, DROPPED, _hash(Path(__file__).read_bytes()))
    content = [(part.name, part.version, _fingerprint(part)) for part in _closure(distribution)]
    return _hash(json.dumps([recipe, content]).encode())


@functools.cache
def _compilers(runtime: str | None) -> dict[str, str]:
    """The Pythons that compile, by the name that their bytecode has: the one that packs, and Lambda's if it is here."""
    found = {str(sys.implementation.cache_tag): sys.executable}
    command = shutil.which(runtime) if runtime else None
    if command is not None:
        # A command may be there and start no Python: version managers have such ones.
        tag = "import sys; print(sys.implementation.cache_tag)"
        answer = subprocess.run([command, "-S", "-c", tag], capture_output=True, text=True, check=False)  # noqa: S603
        if answer.returncode == 0:
            found.setdefault(answer.stdout.strip(), command)
    return found


def _closure(distribution: str) -> list[Distribution]:
    """The distribution and all that it requires, sorted by name."""
    found: dict[str, Distribution] = {}
    waiting = [distribution]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            raise NotBundleable(f"{name} is not installed; install it where the bundle is packed") from None
        requirements = map(Requirement, found[name].requires or ())
        waiting += [each.name for each in requirements if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [found[name] for name in sorted(found)]


def _fingerprint(part: Distribution) -> str:
    """What changes with a part's content. A wheel's RECORD lists every file's hash; sources are hashed one by one.

    Only of the files that are packed: the rest of a RECORD tells who installed it, and how.
    """
    if _editable(part):
        hashes = {str(place): _hash(file.read_bytes()) for place, file in _files(part).items()}
    else:
        lines = csv.reader((part.read_text("RECORD") or "").splitlines())
        hashes = {name: known for name, known, _ in lines if known and _packed(PurePosixPath(name)) and _kept(name)}
    return _hash(json.dumps(hashes, sort_keys=True).encode())


def _files(part: Distribution) -> dict[PurePosixPath, Path]:
    """What a distribution brings, sorted by its place in the bundle. Raises NotBundleable for what is compiled."""
    files = _source_files(part.name) if _editable(part) else _installed_files(part)
    kept = {place: file for place, file in sorted(files) if _kept(str(place))}
    compiled = [str(place) for place in kept if place.suffix in COMPILED_SUFFIXES]
    if compiled:
        raise NotBundleable(f"{part.name} {part.version} is compiled ({compiled[0]}); a bundle is pure Python")
    return kept


def _editable(distribution: Distribution) -> bool:
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable", False))


def _source_files(name: str) -> Iterator[tuple[PurePosixPath, Path]]:
    """An editable distribution's package, found as an import would find it, without importing it."""
    package = name.replace("-", "_")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NotBundleable(f"{name} is an editable install without a package {package}")
    root = Path(spec.submodule_search_locations[0])
    for file in root.rglob("*"):
        if file.is_file():
            yield PurePosixPath(package, *file.relative_to(root).parts), file


def _installed_files(distribution: Distribution) -> Iterator[tuple[PurePosixPath, Path]]:
    """A wheel's modules and data, as its RECORD lists them; scripts lie outside and metadata is written anew."""
    for place in distribution.files or ():
        if _packed(place):
            yield PurePosixPath(*place.parts), Path(str(place.locate()))


def _packed(place: PurePosixPath) -> bool:
    return ".." not in place.parts and not place.parts[0].endswith((".dist-info", ".data"))


def _kept(name: str) -> bool:
    parts = name.split("/")
    if tuple(parts[:2]) == BOTOCORE_DATA and len(parts) > 3:
        return parts[2] in SERVICES and not fnmatchcase(name, "*/examples-1.json")
    return not any(fnmatchcase(name, pattern) for pattern in DROPPED)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(parts: list[Distribution], compilers: Iterable[str], directory: Path) -> None:
    """Writes beside its final place and renames, so that a directory of that name is always whole."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=directory.parent))
    try:
        for part in parts:
            for place, file in _files(part).items():
                target = unfinished / place
                target.parent.mkdir(parents=True, exist_ok=True)
                if place.parts[:2] == BOTOCORE_DATA:
                    _write_lean(file, target)
                else:
                    shutil.copyfile(file, target)
            _write_metadata(part, unfinished)
        for compiler in compilers:
            _compile(unfinished, compiler)
        _settle(unfinished)
        try:
            unfinished.rename(directory)
        except OSError:
            # Another process was faster, with the same content.
            if not directory.is_dir():
                raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write_lean(file: Path, target: Path) -> None:
    """Writes JSON of botocore's without its documentation, other services' endpoints and compression.

    botocore reads it at each cold start, and most of it is text for people.
    """
    compressed = file.suffix == ".gz"
    data = json.loads(gzip.decompress(file.read_bytes()) if compressed else file.read_bytes())
    if file.name == "endpoints.json":
        for partition in data["partitions"]:
            services = partition["services"].items()
            partition["services"] = {name: service for name, service in services if name in SERVICES}
    lean = json.dumps(_undocumented(data), separators=(",", ":"))
    (target.with_suffix("") if compressed else target).write_text(lean, encoding="utf-8")


def _undocumented(data: Any) -> Any:
    """The same with every documentation empty: botocore insists on a few. A member of that name is no text."""
    if isinstance(data, list):
        return [_undocumented(entry) for entry in cast("list[Any]", data)]
    if isinstance(data, dict):
        members = cast("dict[str, Any]", data).items()
        return {
            name: "" if name == "documentation" and isinstance(value, str) else _undocumented(value)
            for name, value in members
        }
    return data


def _write_metadata(part: Distribution, root: Path) -> None:
    """Enough of a dist-info for `importlib.metadata.version`, and for whoever asks what is in the bundle."""
    directory = root / f"{part.name.replace('-', '_')}-{part.version}.dist-info"
    directory.mkdir()
    text = f"Metadata-Version: 2.1\nName: {part.name}\nVersion: {part.version}\n"
    (directory / "METADATA").write_text(text, encoding="utf-8")


def _compile(root: Path, python: str) -> None:
    """Adds bytecode that is used without a look at the source's time, which a bundle does not keep.

    In a process of its own that has loaded nothing else: what a file compiles to also depends, in the marks of shared
    strings, on what the process has seen before.
    """
    arguments = ("--invalidation-mode", "unchecked-hash", "-o", "0", "-s", str(root), "-p", "/var/task", "-q")
    done = subprocess.run(  # noqa: S603 - a Python of this machine
        [python, "-s", "-S", "-m", "compileall", *arguments, str(root)],
        # The search path is for commands of version managers, which look for the Python that they start.
        env={"PATH": os.environ.get("PATH", ""), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NotBundleable(f"{python} compiles not all of the bundle: {done.stdout.strip()}{done.stderr.strip()}")


def _settle(root: Path) -> None:
    """Gives everything one time and one mode."""
    for path in sorted(root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (MODIFIED, MODIFIED))
    root.chmod(0o755)
