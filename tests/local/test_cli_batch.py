"""`sandpiper run --batch`, and what `sandpiper runs` shows of a batch and of its items."""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.cli import COMMAND, sandpiper
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.product import Product

PROGRAM = """
import json
n = json.load(open('item.json'))['n']
print('item', n)
open('o.txt', 'w').write(str(n))
assert n != 1, 'n [bold]is[/] 1'
"""
ITEMS = [{"n": number} for number in range(3)]


@pytest.fixture(scope="module")
def batch(
    deployed: object,  # noqa: ARG001
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, subprocess.CompletedProcess[str], Path]:
    """Runs a batch of three items, the second of which fails. Returns its ARN, the command, and the folder."""
    folder = tmp_path_factory.mktemp("batch")
    (folder / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in ITEMS))
    run = sandpiper(
        *("run", "-", "--batch", folder / "items.jsonl", "--fail-on-error", "--follow", "--items-per-session", "3"),
        *("--out", folder / "out"),
        text=PROGRAM,
    )
    (arn,) = [line.split()[1] for line in run.stderr.splitlines() if line.startswith("execution ")]
    return arn, run, folder / "out"


def test_a_batch_of_a_local_file_has_its_summary_results_and_files(
    batch: tuple[str, subprocess.CompletedProcess[str], Path],
) -> None:
    arn, run, out = batch
    assert run.returncode == 1, run.stderr
    assert "items           1/3 failed\n" in run.stdout
    assert "errors          1 CodeFailed\n" in run.stdout
    assert run.stdout.endswith(f"show one with its output: sandpiper runs show {arn} --item 1\n")
    assert "3 of 3 items done" in run.stderr
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [line.get("result", line.get("error"))["stdout" if "result" in line else "name"] for line in lines] == [
        "item 0",
        "CodeFailed",
        "item 2",
    ]
    assert json.loads((out / "summary.json").read_text())["failures"] == [{"name": "CodeFailed", "count": 1}]
    assert [(out / f"item-{index}" / "o.txt").read_text() for index in range(3)] == ["0", "1", "2"]


def test_the_output_of_a_failed_item_is_one_command(
    batch: tuple[str, subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> None:
    arn, _, _ = batch
    name = arn.rpartition(":")[2]
    shown = sandpiper("runs", "show", name, "--item", "1")
    assert shown.returncode == 0, shown.stderr
    assert '\nItem\n  {"n": 1}\n' in shown.stdout
    assert "\nstdout\n  item 1\n" in shown.stdout
    assert "AssertionError: n [bold]is[/] 1\n" in shown.stdout
    item = json.loads(sandpiper("runs", "show", name, "--item", "1", "--json").stdout)
    assert (item["status"], item["error"], item["item"], item["result"]["exitCode"]) == (
        *("FAILED", "CodeFailed", {"n": 1}),
        1,
    )
    files = sandpiper("runs", "files", name, "--item", "1", "--out", tmp_path, "--json")
    assert [file["savedTo"] for file in json.loads(files.stdout)] == [str(tmp_path / "item-1" / "o.txt")]
    assert [path.name for path in tmp_path.iterdir()] == ["item-1"]
    for command in ("show", "files"):
        missing = sandpiper("runs", command, name, "--item", "3")
        assert missing.stderr == f"error: --item is 3; allowed: 0 to 2, the items of {arn}\n"


def test_a_batch_is_listed_shown_and_downloaded(
    batch: tuple[str, subprocess.CompletedProcess[str], Path], tmp_path: Path
) -> None:
    arn, _, _ = batch
    name = arn.rpartition(":")[2]
    listed = sandpiper("runs", "list", "--workflow", "run-batch", "--limit", "50")
    (line,) = [line for line in listed.stdout.splitlines() if line.startswith(name)]
    assert "  1/3 failed  " in line
    (item,) = [each for each in json.loads(sandpiper("runs", "list", "--json").stdout) if each["arn"] == arn]
    assert (item["items"]["count"], item["items"]["failed"], item["estimatedUsd"] > 0) == (3, 1, True)
    shown = sandpiper("runs", "show", name)
    assert "\nFailed items\nitem  error       message" in shown.stdout
    full = json.loads(sandpiper("runs", "show", name, "--json").stdout)
    assert [failed["index"] for failed in full["failedItems"]] == [1]
    assert sandpiper("runs", "show", name, "--follow").returncode == 1
    files = sandpiper("runs", "files", name, "--out", tmp_path)
    assert files.returncode == 0, files.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"results.jsonl", "summary.json", "item-0", "item-1", "item-2"}
    (tmp_path / "summary.json").write_text("mine")
    again = sandpiper("runs", "files", name, "--out", tmp_path)
    assert (again.returncode, (tmp_path / "summary.json").read_text()) == (2, "mine")


def test_the_objects_of_a_folder_are_items_with_their_files(product: Product, tmp_path: Path) -> None:
    folder = f"{product.deployment.prefix}/inputs/{uuid.uuid4()}/"
    for name in ("a", "b"):
        product.session.client("s3").put_object(
            Bucket=product.deployment.bucket, Key=f"{folder}{name}.txt", Body=name.encode()
        )
    location = f"s3://{product.deployment.bucket}/{folder}"
    (tmp_path / "shared.txt").write_text("shared")
    run = sandpiper(
        *("run", "-", "--batch", location, "--item-input", "data.txt=s3Uri", "--input", tmp_path / "shared.txt"),
        *("--json", "--out", tmp_path / "out", "--no-outputs"),
        text="print(open('data.txt').read(), open('shared.txt').read())",
    )
    assert run.returncode == 0, run.stderr
    ended = json.loads(run.stdout)
    assert (ended["status"], ended["items"]["succeeded"]) == ("SUCCEEDED", 2)
    lines = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert [line["result"]["stdout"] for line in lines] == ["a shared", "b shared"]


def test_a_batch_that_fails_has_its_results_and_its_error(product: Product, tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("n\n0\n1\n")
    run = sandpiper(
        *("run", "-", "--batch", tmp_path / "items.csv", "--fail-on-error", "--tolerated-failures", "0"),
        *("--items-per-session", "2", "--no-outputs", "--out", tmp_path / "out"),
        text="import json; assert json.load(open('item.json'))['n'] == '0'",
    )
    assert (run.returncode, run.stderr.splitlines()[-1].startswith("error: BatchFailed: 1 of 2 items failed")) == (
        2,
        True,
    ), run.stderr
    assert len((tmp_path / "out" / "results.jsonl").read_text().splitlines()) == 2
    assert product.live_sessions() == []


def test_a_detached_batch_is_stopped_with_the_results_of_what_ran(product: Product, tmp_path: Path) -> None:
    (tmp_path / "items.json").write_text("[1, 2]")
    started = sandpiper(
        *("run", "-", "--batch", tmp_path / "items.json", "--max-concurrency", "1", "--detach", "--json"),
        text="import time; time.sleep(60)",
    )
    arn = json.loads(started.stdout)["arn"]
    refused = sandpiper("runs", "files", arn, "--out", tmp_path / "out")
    assert (refused.returncode, f"{arn} is running" in refused.stderr) == (2, True), refused.stderr
    assert sandpiper("runs", "show", arn, "--follow", "--item", "0").returncode == 2
    assert sandpiper("runs", "stop", arn).returncode == 0
    shown = json.loads(sandpiper("runs", "show", arn, "--follow", "--json").stdout)
    assert shown["status"] == "ABORTED"
    assert product.live_sessions() == []


@pytest.mark.parametrize(
    ("items", "options", "message"),
    [
        (None, [], "{file}: No such file or directory; allowed: a file with json | jsonl | csv"),
        ("", [], "{file} has no items; allowed: 1 to 10,000,000, as jsonl"),
        (
            '{"n": 1}\n{"n":\n',
            [],
            "{file}: line 2 is not valid JSON: Expecting value at character 6; allowed: ",
        ),
        (f'"{"x" * 70_000}"\n', [], "{file}: line 1 has 70,002 bytes; allowed: 65,536 bytes"),
        (
            "1\n",
            ["--max-concurrency", "10"],
            "--max-concurrency is 10; allowed: 1 to 9, the tenant's share",
        ),
        (
            "1\n",
            ["--batch-format", "xml"],
            "--batch-format is 'xml'; allowed: json | jsonl | csv | s3-prefix | ",
        ),
        ("1\n", ["--batch-format", "s3-prefix"], "{file} is a local file, and --batch-format is s3-prefix; allowed: "),
        (
            "1\n",
            ["--batch", "s3://data/inputs/"],
            "--batch is given 2 times, as {path} and s3://data/inputs/; ",
        ),
        ("1\n", ["--item-input", "a.txt=uri"], "{file}: line 1: uri is null; allowed: s3://BUCKET/KEY"),
        ("1\n", ["--item-input", "a.txt"], "--item-input is 'a.txt'; allowed: PATH=FIELD"),
        ("1\n", ["--tolerated-failures", "1.5"], "--tolerated-failures is '1.5'; allowed: a whole number of items"),
        ("1\n", ["--timeout", "0"], "--timeout is 0; allowed: a whole number of seconds"),
        ("1\n", ["--interpreter", "gpu"], "--interpreter is 'gpu'; allowed: sandbox | public"),
    ],
)
def test_a_batch_that_cannot_run_is_one_message_and_nothing_is_started(
    product: Product, tmp_path: Path, items: str | None, options: list[str], message: str
) -> None:
    file = tmp_path / "items.jsonl"
    if items is not None:
        file.write_text(items)
    before = executions(product)
    run = sandpiper("run", "-", "--batch", file, *options, text="print(1)")
    expected = "error: " + message.format(file=f"--batch {file}", path=file)
    assert (run.returncode, run.stderr.splitlines()[-1][: len(expected)]) == (2, expected)
    assert executions(product) == before


def test_items_of_another_location_in_s3_are_refused(product: Product) -> None:
    inputs = f"s3://{product.deployment.bucket}/{product.deployment.prefix}/inputs/"
    before = executions(product)
    for location, message in (
        (f"{inputs}none.csv", f"{inputs}none.csv does not exist; allowed: an object below {inputs}"),
        (f"{inputs}none/", f"{inputs}none/ has no objects; allowed: a folder with 1 to 10,000,000 objects"),
        (
            "s3://other/a.csv",
            f"s3://other/a.csv is another location; allowed: objects and folders below {inputs}",
        ),
    ):
        run = sandpiper("run", "-", "--batch", location, text="print(1)")
        assert (run.returncode, run.stderr.splitlines()[-1]) == (2, f"error: --batch {message}")
    assert executions(product) == before


def test_the_commands_of_the_page_on_batches_run(product: Product, tmp_path: Path) -> None:
    section = (PROJECT / "docs" / "batch.md").read_text().partition("## From the command line\n")[2]
    commands = section.partition("```sh\n")[2].partition("```")[0]
    path = f"{COMMAND.parent}:{os.environ['PATH']}"
    run = subprocess.run(
        ["bash", "-euc", commands], cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert (run.returncode, "items           1/3 failed\n" in run.stdout) == (0, True), run.stderr
    assert "\n2     CodeFailed  the program ended with exit code 1" in run.stdout
    assert product.live_sessions() == []


def executions(product: Product) -> int:
    workflows: Any = product.session.client("stepfunctions")
    machine = product.deployment.workflows["run-batch"]
    pages = workflows.get_paginator("list_executions").paginate(stateMachineArn=machine)
    return sum(len(page["executions"]) for page in pages)
