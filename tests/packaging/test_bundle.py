"""The bundle of the function's code: small, pure Python, reproducible, and complete without other packages."""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, cast

import botocore
import pytest

from sandpiper_constructs import bundle as bundling
from sandpiper_constructs.bundle import Bundle, NotBundleable, bundle, digest_of
from sandpiper_contract import settings
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.assemblies import synthesize

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024 * 1024
OFFLINE: dict[str, tuple[str, dict[str, str]]] = {
    "bedrock-agentcore": ("list_code_interpreter_sessions", {"codeInterpreterIdentifier": MANAGED_INTERPRETER}),
    "s3": ("get_object", {"Bucket": "data", "Key": "file"}),
    "stepfunctions": (
        "describe_execution",
        {"executionArn": "arn:aws:states:eu-west-1:111122223333:execution:run-code:a"},
    ),
    "sts": ("get_caller_identity", {}),
}
"""A request per service that uses its complete model (endpoint, serialization, signature) and needs no network."""
SERVICES = set(OFFLINE)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Returns the bundle of the function."""
    return bundle(cache=tmp_path_factory.mktemp("bundle"))


def _files(packed: Bundle) -> dict[PurePosixPath, Path]:
    return {
        PurePosixPath(path.relative_to(packed.directory)): path
        for path in sorted(packed.directory.rglob("*"))
        if path.is_file()
    }


def _zip_size(packed: Bundle, included: Callable[[PurePosixPath], bool]) -> int:
    """Returns the size in bytes of a zip archive of the included files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        for name, path in _files(packed).items():
            if included(name):
                files.write(path, str(name))
    return len(archive.getvalue())


def test_bundle_size_is_below_the_limits(packed: Bundle, record_property: Callable[[str, object], None]) -> None:
    sources = _zip_size(packed, lambda name: name.suffix != ".pyc")
    everything = _zip_size(packed, lambda _: True)
    print(f"bundle: {sources / MEBIBYTE:.2f} MiB zipped, {everything / MEBIBYTE:.2f} MiB with bytecode")
    record_property("bundle_bytes", sources)
    assert sources < 3 * MEBIBYTE
    assert everything < 6 * MEBIBYTE


BUILD = """
import os, sys
os.umask(int(sys.argv[1], 8))
from pathlib import Path
from sandpiper_constructs.bundle import bundle
packed = bundle(cache=Path("cache"))
print(packed.directory.resolve(), packed.digest)
"""
BUILD_ENVIRONMENTS = [
    ("022", {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
    ("077", {"TZ": "Asia/Kolkata", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2", "PYTHONOPTIMIZE": "2"}),
]
"""Umask and variables of two build environments: time zone, locale, hash seed and optimization differ."""


def test_bundle_is_identical_in_different_build_environments(packed: Bundle, tmp_path: Path) -> None:
    contents = [_content(packed)]
    for mask, variables in BUILD_ENVIRONMENTS:
        folder = tmp_path / mask
        folder.mkdir()
        process = subprocess.run(
            [sys.executable, "-c", BUILD, mask],
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        directory, digest = process.stdout.split()
        assert digest == packed.digest
        contents.append(_content(Bundle(Path(directory), digest)))
    first, *others = contents
    assert len(first) > 1_000
    for other in others:
        assert other.keys() == first.keys()
        assert [path for path in first if other[path] != first[path]] == []


def _content(packed: Bundle) -> dict[str, tuple[bytes, int, float]]:
    """Returns content, mode and modification time of every file and folder by path."""
    return {
        str(path.relative_to(packed.directory)): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mode,
            path.stat().st_mtime,
        )
        for path in sorted(packed.directory.rglob("*"))
    }


def test_existing_bundle_is_reused(packed: Bundle) -> None:
    before = packed.directory.stat().st_ino
    again = bundle(cache=packed.directory.parent)
    assert again == packed
    assert again.directory.stat().st_ino == before
    assert {path.name for path in packed.directory.parent.iterdir()} == {packed.directory.name, packed.archive.name}


def test_archive_contains_the_same_files_as_the_directory(packed: Bundle, tmp_path: Path) -> None:
    with zipfile.ZipFile(packed.archive) as archive:
        assert archive.testzip() is None
        content = {name: archive.read(name) for name in archive.namelist()}
        modes = {entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    files = [path for path in packed.directory.rglob("*") if path.is_file()]
    assert content == {str(path.relative_to(packed.directory)): path.read_bytes() for path in files}
    assert modes == {0o644}
    shutil.copytree(packed.directory, tmp_path / packed.directory.name)
    again = bundle(cache=tmp_path)
    assert again.archive.read_bytes() == packed.archive.read_bytes()


def test_unchanged_synthesis_writes_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"tenants": {"demo": {"interpreters": {"one": {}}}}}

    def built() -> dict[Path, int]:
        return {path: path.stat().st_ctime_ns for path in Path("build").rglob("*")}

    synthesize(tmp_path / "first", options)
    before = built()
    assert any(path.name == "handlers.py" for path in before)
    digest_of.cache_clear()
    synthesize(tmp_path / "second", options)
    assert built() == before


def test_changed_source_changes_the_digest(packed: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "changed.py"
    changed.write_text("CHANGED = True\n")

    def sources(name: str) -> list[tuple[PurePosixPath, Path]]:
        return [(PurePosixPath(name.replace("-", "_"), "changed.py"), changed)]

    monkeypatch.setattr(bundling, "_source_files", sources)
    digest_of.cache_clear()
    assert bundle(cache=tmp_path / "cache").digest != packed.digest
    monkeypatch.undo()
    digest_of.cache_clear()
    assert bundle(cache=packed.directory.parent) == packed


def test_bundle_is_pure_python_without_tests_stubs_or_scripts(packed: Bundle) -> None:
    suffixes = {name.suffix for name in _files(packed)}
    assert not suffixes & {".so", ".pyd", ".dylib", ".dll", ".pyi", ".pth", ".exe"}
    assert not [name for name in _files(packed) if {"tests", "bin", "examples"} & set(name.parts)]


def test_bundle_contains_only_the_models_of_the_services_in_use(packed: Bundle) -> None:
    data = packed.directory / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == SERVICES
    assert {path.name for path in data.iterdir() if path.is_file()} >= {
        "endpoints.json",
        "partitions.json",
        "sdk-default-configuration.json",
    }


def test_models_are_those_of_botocore_without_documentation(packed: Bundle) -> None:
    installed = Path(botocore.__file__).parent / "data"
    models = sorted((packed.directory / "botocore" / "data").rglob("*.json"))
    assert len(models) > len(SERVICES)
    for path in models:
        name = path.relative_to(packed.directory / "botocore" / "data")
        source = installed / name
        text = source.read_bytes() if source.is_file() else gzip.decompress(Path(f"{source}.gz").read_bytes())
        complete = json.loads(text)
        if name.name == "endpoints.json":
            for partition in complete["partitions"]:
                partition["services"] = {service: partition["services"].get(service) for service in SERVICES}
        _assert_equal_without_documentation(str(name), json.loads(path.read_bytes()), complete)


def _assert_equal_without_documentation(location: str, bundled: Any, complete: Any) -> None:
    if isinstance(complete, dict):
        members = cast("dict[str, Any]", complete)
        present = {name: value for name, value in members.items() if value is not None}
        assert bundled.keys() == present.keys(), location
        for name, value in present.items():
            if name == "documentation" and isinstance(value, str):
                assert bundled[name] == "", location
            else:
                _assert_equal_without_documentation(f"{location}/{name}", bundled[name], value)
    elif isinstance(complete, list):
        entries = cast("list[Any]", complete)
        assert len(bundled) == len(entries), location
        for index, entry in enumerate(entries):
            _assert_equal_without_documentation(f"{location}/{index}", bundled[index], entry)
    else:
        assert bundled == complete, location


def test_bundle_runs_without_other_packages(packed: Bundle) -> None:
    """Python runs isolated, without site-packages, so that it can import only its standard library and the bundle."""
    script = f"""
import sys
sys.path.insert(0, {str(packed.directory)!r})
import boto3, importlib.metadata
for service, method in {OFFLINE!r}.items():
    client = boto3.client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    assert client.generate_presigned_url(*method).startswith("https://")
import code_runner.handlers
assert callable(code_runner.handlers.run_operation)
for module in list(sys.modules.values()):
    origin = getattr(module, "__file__", None) or ""
    assert "site-packages" not in origin, origin
print(importlib.metadata.version("boto3"), boto3.__version__)
"""
    variables = {settings.BUCKET: "data", settings.PREFIX: "tenants/one", settings.INTERPRETERS: "{}"}
    process = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        env={**variables, "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 0, process.stderr
    version = importlib.metadata.version("boto3")
    assert process.stdout.split() == [version, version]


def test_bytecode_is_used_without_a_check_of_the_source(packed: Bundle) -> None:
    compiled = packed.directory / "boto3" / "__pycache__" / f"session.{sys.implementation.cache_tag}.pyc"
    flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
    assert flags == 0b01, "bytecode must be hash-based and unchecked (PEP 552)"


def test_bundle_contains_bytecode_for_the_python_version_of_lambda(tmp_path: Path) -> None:
    own = sys.implementation.cache_tag
    others = {version: f"python3.{version}" for version in range(12, 15) if _starts(f"python3.{version}")}
    for version, runtime in others.items():
        directory = bundle(runtime=runtime, cache=tmp_path).directory
        assert {path.suffixes[0] for path in directory.rglob("*.pyc")} == {f".{own}", f".cpython-3{version}"}
    if not others:
        pytest.skip("this machine has no other Python version that Lambda supports")


def test_command_that_does_not_start_python_is_ignored(
    packed: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version managers put commands on the path for versions that are not installed."""
    command = tmp_path / "python3.99"
    command.write_text("#!/bin/sh\nexit 127\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert bundle(runtime="python3.99", cache=packed.directory.parent) == packed


def _starts(command: str) -> bool:
    return bool(shutil.which(command)) and subprocess.run([command, "-c", ""], check=False).returncode == 0


def test_package_with_compiled_modules_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(
        NotBundleable, match=r"pydantic.core .* is compiled \(.*\.so\); allowed: pure Python distributions"
    ):
        bundle("pydantic", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_package_that_is_not_installed_is_reported(tmp_path: Path) -> None:
    with pytest.raises(NotBundleable, match="no-such-thing is not installed"):
        bundle("no-such-thing", cache=tmp_path)
