"""Packs an installed distribution and what it depends on into a directory that Lambda runs.

Not an installer: it copies what is already in the environment, so it needs no network, no Docker and no target
platform. It refuses compiled files, because a bundle of pure Python fits every architecture and Python version.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import py_compile
import shutil
import sys
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator
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


def bundle(distribution: str = "code-runner", *, cache: Path = CACHE) -> Bundle:
    """Packs `distribution` with its dependencies, once for each content, below `cache`.

    Each module's bytecode is added for the Python that packs; another Python ignores it.
    Raises NotBundleable.
    """
    digest = digest_of(distribution)
    directory = cache / f"{distribution}-{digest[:16]}"
    if not directory.is_dir():
        _write(_closure(distribution), directory)
    return Bundle(directory, digest)


@functools.cache
def digest_of(distribution: str) -> str:
    """What changes with a bundle's content: each part's, and how it is packed. Found once in a process.

    Raises NotBundleable.
    """
    recipe = (sys.implementation.cache_tag, SERVICES, DROPPED, _hash(Path(__file__).read_bytes()))
    content = [(part.name, part.version, _fingerprint(part)) for part in _closure(distribution)]
    return _hash(json.dumps([recipe, content]).encode())


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
    """What changes with a part's content. A wheel's RECORD lists every file's hash; sources are hashed one by one."""
    if not _editable(part):
        return _hash((part.read_text("RECORD") or "").encode())
    return _hash("".join(f"{place}\0{_hash(file.read_bytes())}\n" for place, file in _files(part).items()).encode())


def _files(part: Distribution) -> dict[PurePosixPath, Path]:
    """What a distribution brings, sorted by its place in the bundle. Raises NotBundleable for what is compiled."""
    files = _source_files(part.name) if _editable(part) else _installed_files(part)
    kept = {place: file for place, file in sorted(files) if _kept(place)}
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
        if ".." not in place.parts and not place.parts[0].endswith((".dist-info", ".data")):
            yield PurePosixPath(*place.parts), Path(str(place.locate()))


def _kept(place: PurePosixPath) -> bool:
    if place.parts[:2] == BOTOCORE_DATA and len(place.parts) > 3:
        return place.parts[2] in SERVICES and not fnmatch(str(place), "*/examples-1.json")
    return not any(fnmatch(str(place), pattern) for pattern in DROPPED)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(parts: list[Distribution], directory: Path) -> None:
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
        _compile(unfinished)
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


def _compile(root: Path) -> None:
    """Adds bytecode that is used without a look at the source's time, which a bundle does not keep."""
    for source in sorted(root.rglob("*.py")):
        place = source.relative_to(root).as_posix()
        py_compile.compile(
            str(source),
            dfile=f"/var/task/{place}",
            doraise=True,
            optimize=0,
            invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        )


def _settle(root: Path) -> None:
    """Gives everything one time and one mode."""
    for path in sorted(root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (MODIFIED, MODIFIED))
    root.chmod(0o755)
