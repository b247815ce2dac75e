"""The function's code: small, pure, the same each time, and enough to run with nothing else installed."""

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
from tests.support.assemblies import synthesise

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024 * 1024
OFFLINE: dict[str, tuple[str, dict[str, str]]] = {
    "bedrock-agentcore": ("list_code_interpreter_sessions", {"codeInterpreterIdentifier": MANAGED_INTERPRETER}),
    "s3": ("get_object", {"Bucket": "data", "Key": "file"}),
    "sts": ("get_caller_identity", {}),
}
"""What each service's whole model is needed for, endpoint and serialisation and signature, without a call."""
SERVICES = set(OFFLINE)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return bundle(cache=tmp_path_factory.mktemp("bundle"))


def _files(packed: Bundle) -> dict[PurePosixPath, Path]:
    return {
        PurePosixPath(path.relative_to(packed.directory)): path
        for path in sorted(packed.directory.rglob("*"))
        if path.is_file()
    }


def _zipped(packed: Bundle, wanted: Callable[[PurePosixPath], bool]) -> int:
    """Bytes of a zip archive of the wanted files."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for place, path in _files(packed).items():
            if wanted(place):
                opened.write(path, str(place))
    return len(archive.getvalue())


def test_it_is_small(packed: Bundle, record_property: Callable[[str, object], None]) -> None:
    sources = _zipped(packed, lambda place: place.suffix != ".pyc")
    everything = _zipped(packed, lambda _: True)
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
PLACES = [
    ("022", {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"}),
    ("077", {"TZ": "Asia/Kolkata", "LC_ALL": "tr_TR.UTF-8", "PYTHONHASHSEED": "2", "PYTHONOPTIMIZE": "2"}),
]
"""Two users: what files they make may be read by others or not, their clock, language and order of sets."""


def test_it_is_the_same_for_everybody(packed: Bundle, tmp_path: Path) -> None:
    seen = [_content(packed)]
    for mask, variables in PLACES:
        place = tmp_path / mask
        place.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", BUILD, mask],
            cwd=place,
            env={"PATH": "/usr/bin:/bin", **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        directory, digest = done.stdout.split()
        assert digest == packed.digest
        seen.append(_content(Bundle(Path(directory), digest)))
    assert len(seen[0]) > 1_000
    for other in seen[1:]:
        assert other.keys() == seen[0].keys()
        assert [place for place in seen[0] if other[place] != seen[0][place]] == []


def _content(packed: Bundle) -> dict[str, tuple[bytes, int, float]]:
    """Every file and folder: its bytes, its mode and its time."""
    return {
        str(path.relative_to(packed.directory)): (
            path.read_bytes() if path.is_file() else b"",
            path.stat().st_mode,
            path.stat().st_mtime,
        )
        for path in sorted(packed.directory.rglob("*"))
    }


def test_it_is_packed_once(packed: Bundle) -> None:
    before = packed.directory.stat().st_ino
    again = bundle(cache=packed.directory.parent)
    assert again == packed
    assert again.directory.stat().st_ino == before
    assert [path.name for path in packed.directory.parent.iterdir()] == [packed.directory.name]


def test_an_unchanged_synthesis_builds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"tenants": {"demo": {"interpreters": {"one": {}}}}}

    def built() -> dict[Path, int]:
        return {path: path.stat().st_ctime_ns for path in Path("build").rglob("*")}

    synthesise(tmp_path / "first", options)
    before = built()
    assert any(path.name == "handlers.py" for path in before)
    digest_of.cache_clear()
    synthesise(tmp_path / "second", options)
    assert built() == before


def test_a_changed_source_is_another_bundle(packed: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_it_is_pure_python_without_tests_stubs_or_scripts(packed: Bundle) -> None:
    suffixes = {place.suffix for place in _files(packed)}
    assert not suffixes & {".so", ".pyd", ".dylib", ".dll", ".pyi", ".pth", ".exe"}
    assert not [place for place in _files(packed) if {"tests", "bin", "examples"} & set(place.parts)]


def test_it_has_the_models_of_the_services_in_use_and_no_others(packed: Bundle) -> None:
    data = packed.directory / "botocore" / "data"
    assert {path.name for path in data.iterdir() if path.is_dir()} == SERVICES
    assert {path.name for path in data.iterdir() if path.is_file()} >= {
        "endpoints.json",
        "partitions.json",
        "sdk-default-configuration.json",
    }


def test_its_models_are_botocores_without_the_words(packed: Bundle) -> None:
    installed = Path(botocore.__file__).parent / "data"
    kept = sorted((packed.directory / "botocore" / "data").rglob("*.json"))
    assert len(kept) > len(SERVICES)
    for path in kept:
        place = path.relative_to(packed.directory / "botocore" / "data")
        source = installed / place
        text = source.read_bytes() if source.is_file() else gzip.decompress(Path(f"{source}.gz").read_bytes())
        whole = json.loads(text)
        if place.name == "endpoints.json":
            for partition in whole["partitions"]:
                partition["services"] = {name: partition["services"].get(name) for name in SERVICES}
        _same_but_for_words(str(place), json.loads(path.read_bytes()), whole)


def _same_but_for_words(place: str, lean: Any, whole: Any) -> None:
    if isinstance(whole, dict):
        members = cast("dict[str, Any]", whole)
        present = {name: value for name, value in members.items() if value is not None}
        assert lean.keys() == present.keys(), place
        for name, value in present.items():
            if name == "documentation" and isinstance(value, str):
                assert lean[name] == "", place
            else:
                _same_but_for_words(f"{place}/{name}", lean[name], value)
    elif isinstance(whole, list):
        entries = cast("list[Any]", whole)
        assert len(lean) == len(entries), place
        for index, entry in enumerate(entries):
            _same_but_for_words(f"{place}/{index}", lean[index], entry)
    else:
        assert lean == whole, place


def test_it_runs_with_nothing_else_installed(packed: Bundle) -> None:
    """Python sees its standard library and the bundle: no site-packages, no variables, no working directory."""
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
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script],
        env={**variables, "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    version = importlib.metadata.version("boto3")
    assert done.stdout.split() == [version, version]


def test_its_bytecode_is_used_without_a_look_at_the_source(packed: Bundle) -> None:
    compiled = packed.directory / "boto3" / "__pycache__" / f"session.{sys.implementation.cache_tag}.pyc"
    flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
    assert flags == 0b01, "hash-based, unchecked (PEP 552)"


def test_it_has_bytecode_for_lambdas_python_where_the_machine_has_that(tmp_path: Path) -> None:
    own = sys.implementation.cache_tag
    others = {version: f"python3.{version}" for version in range(12, 15) if _starts(f"python3.{version}")}
    for version, runtime in others.items():
        found = bundle(runtime=runtime, cache=tmp_path).directory
        assert {path.suffixes[0] for path in found.rglob("*.pyc")} == {f".{own}", f".cpython-3{version}"}
    if not others:
        pytest.skip("no other Python of Lambda's on this machine")


def test_a_command_that_starts_no_python_is_no_python(
    packed: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version managers put a command for every version on the path, also for those that are not there."""
    command = tmp_path / "python3.99"
    command.write_text("#!/bin/sh\nexit 127\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert bundle(runtime="python3.99", cache=packed.directory.parent) == packed


def _starts(command: str) -> bool:
    return bool(shutil.which(command)) and subprocess.run([command, "-c", ""], check=False).returncode == 0


def test_what_is_compiled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotBundleable, match=r"pydantic.core .* is compiled \(.*\.so\); a bundle is pure Python"):
        bundle("pydantic", cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotBundleable, match="no-such-thing is not installed"):
        bundle("no-such-thing", cache=tmp_path)
