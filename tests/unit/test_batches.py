"""Batches: formats of items, the order of results, summaries and pacing."""

from __future__ import annotations

import csv
import gzip
import io
import json
import time
from itertools import pairwise
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from code_runner.batches import item_formats, metered_clients
from code_runner.batches.finishing import batch_usd
from code_runner.batches.item_results import outcome_of
from code_runner.batches.item_runner import item_request
from code_runner.batches.metered_clients import MeteredClients
from code_runner.batches.summary import Percentiles, SummaryCounter
from code_runner.idempotency.stored_record import Status, StoredRecord
from sandpiper_contract.batches import MAX_ITEM_BYTES, BatchItem, ItemResult, RunBatch
from sandpiper_contract.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
ITEMS = st.lists(JSON, max_size=6)
SIZES = st.integers(1, 40)
RESULT: dict[str, Any] = {
    "stdout": "",
    "stderr": "",
    "exitCode": 0,
    "executionTimeMs": 10.0,
    "timedOut": False,
    "files": [],
    "skipped": [],
}
BATCH = {"items": {"location": "s3://bucket/inputs/items.jsonl", "format": "jsonl"}, "request": {"code": "pass"}}


def chunks(data: bytes, size: int) -> Iterator[bytes]:
    """Yields the data in chunks that also split characters."""
    return (data[start : start + size] for start in range(0, len(data), size))


def values(items: Iterator[tuple[str, str]]) -> list[Any]:
    return [json.loads(text) for _, text in items]


@settings(deadline=None)
@given(items=ITEMS, size=SIZES, indent=st.sampled_from([None, 2]), escaped=st.booleans())
def test_a_json_array_is_read_in_chunks_of_any_size(items: list[Any], size: int, indent: Any, escaped: bool) -> None:
    text = json.dumps(items, indent=indent, ensure_ascii=escaped)
    data = text.encode("utf-8", "surrogatepass")
    assert values(item_formats.json_array(chunks(data, size))) == items


@settings(deadline=None)
@given(items=ITEMS, size=SIZES, end=st.sampled_from(["\n", "\r\n", "\n\n"]), bom=st.booleans())
def test_json_lines_are_read_in_chunks_of_any_size(items: list[Any], size: int, end: str, bom: bool) -> None:
    text = end.join(json.dumps(item) for item in items)
    data = text.encode("utf-8-sig" if bom else "utf-8")
    assert values(item_formats.json_lines(chunks(data, size))) == items


@settings(deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.just('a,"\nb'), min_size=2, max_size=2)
    ),
    size=SIZES,
)
def test_csv_rows_are_objects_of_strings(rows: list[list[str]], size: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["name", "amount"], *rows])
    found = values(item_formats.csv_rows(chunks(text.getvalue().encode(), size)))
    assert found == [{"name": row[0], "amount": row[1]} for row in rows]


def test_a_number_in_an_item_keeps_its_precision() -> None:
    assert list(item_formats.json_array([b"[12345678901234567890123]"])) == [("item 1", "12345678901234567890123")]


@pytest.mark.parametrize(
    ("parse", "data", "problem"),
    [
        (item_formats.json_lines, b'{"n": 1}\n\n{"n": ', "line 3 is not valid JSON: Expecting value at character 6"),
        (item_formats.json_lines, b"1\nNaN", "line 2 is not valid JSON: NaN is not JSON"),
        (item_formats.json_lines, b"1\n2\n\xff", "line 3 is not UTF-8"),
        (item_formats.json_lines, b'1\n"' + b"x" * MAX_ITEM_BYTES + b'"', "line 2 has 65,538 bytes"),
        (item_formats.json_lines, b"1\n" + b"x" * 10 * MAX_ITEM_BYTES, "line 2 is too long"),
        (item_formats.json_lines, b"[" * 100_000, "line 1 is not valid JSON: nested too deeply"),
        (item_formats.json_array, b'{"n": 1}', "the items are not a JSON array"),
        (item_formats.json_array, b"[1, 2", "item 2 is not valid JSON or too long: the array does not end"),
        (item_formats.json_array, b"[1, x]", "item 2 is not valid JSON or too long: Expecting value"),
        (item_formats.json_array, b"[1 2]", "item 1 is followed by neither a comma nor the end"),
        (item_formats.json_array, b"[1,]", "item 2 is not valid JSON"),
        (item_formats.json_array, b"[1] 2", "the JSON array is followed by other text"),
        (item_formats.json_array, b"", "the items are not a JSON array"),
        (item_formats.csv_rows, b"name,amount\nrent\n", "line 2 has 1 fields; allowed: 2"),
        (item_formats.csv_rows, b"name,name\n", "line 1: names are empty or repeated"),
        (item_formats.csv_rows, b'name\n"rent', "line 2 is not CSV: unexpected end of data"),
        (item_formats.csv_rows, b'name\n"a"b\n', "line 2 is not CSV: ',' expected after '\"'"),
    ],
)
def test_an_invalid_item_is_named_by_its_line_and_never_shown(
    parse: Callable[[Any], Iterator[tuple[str, str]]], data: bytes, problem: str
) -> None:
    with pytest.raises(InvalidRequest) as raised:
        list(parse(chunks(data, 1000)))
    assert str(raised.value).startswith(problem)
    assert "allowed: " in str(raised.value)
    assert len(str(raised.value)) < 200


def test_a_compressed_file_is_read_in_bounded_parts() -> None:
    data = b"0" * 5_000_000
    parts = list(item_formats.decompressed([gzip.compress(data)]))
    assert b"".join(parts) == data
    assert max(map(len, parts)) <= item_formats.CHUNK_BYTES


def record(status: Status, **fields: Any) -> StoredRecord:
    return StoredRecord(status, "attempt", 1, "fingerprint", **fields)


@pytest.mark.parametrize(
    ("stored", "fail_on_error", "expected"),
    [
        (None, False, "NotStarted"),
        (record(Status.CLAIMED), False, "NotStarted"),
        (record(Status.RELEASED, error={"name": "Throttled", "message": "rate"}), False, "Throttled"),
        (record(Status.ACCEPTED), False, "SessionLost"),
        (record(Status.DONE, error={"name": "PayloadTooLarge", "message": ""}), False, "PayloadTooLarge"),
        (record(Status.DONE, result=RESULT), True, None),
        (record(Status.DONE, result={**RESULT, "exitCode": 3}), False, None),
        (record(Status.DONE, result={**RESULT, "exitCode": 3}), True, "CodeFailed"),
    ],
)
def test_the_outcome_of_an_item_follows_from_its_record(
    stored: StoredRecord | None, fail_on_error: bool, expected: str | None
) -> None:
    line = json.loads(outcome_of(7, stored, fail_on_error=fail_on_error).line())
    parsed = ItemResult.from_json(line, "line")
    assert parsed.index == 7
    assert (parsed.error.name if parsed.error else None) == expected
    if expected is None and stored is not None:
        assert line["result"] == stored.result


def test_output_that_utf_8_cannot_encode_stays_one_valid_line() -> None:
    stored = record(Status.DONE, result={**RESULT, "stdout": "\ud800\n\u2028"})
    line = outcome_of(0, stored, fail_on_error=False).line()
    assert line.count(b"\n") == 1
    assert json.loads(line)["result"]["stdout"] == "\ud800\n\u2028"


@settings(deadline=None)
@given(numbers=st.lists(st.floats(0.001, 1e9), min_size=1), percent=st.sampled_from([50, 95, 100]))
def test_percentiles_are_within_one_percent(numbers: Sequence[float], percent: int) -> None:
    percentiles = Percentiles()
    for number in numbers:
        percentiles.add(number)
    exact = sorted(numbers)[max(-(-len(numbers) * percent // 100), 1) - 1]
    assert percentiles.at(percent) == pytest.approx(exact, rel=0.01, abs=0.001)


def test_percentiles_of_no_numbers_and_of_zeros() -> None:
    percentiles = Percentiles()
    assert percentiles.at(50) is None
    percentiles.add(0)
    assert percentiles.at(95) == 0


@settings(deadline=None)
@given(
    outcomes=st.lists(st.sampled_from(["Throttled", "SessionLost", None]) | st.integers(0, 3), max_size=20),
    at=st.integers(0, 20),
)
def test_a_summary_can_be_stored_at_any_item_and_continued(outcomes: list[Any], at: int) -> None:
    whole, continued = SummaryCounter(), SummaryCounter()
    for position, outcome in enumerate(outcomes):
        if position == at:
            continued = SummaryCounter.from_json(json.loads(json.dumps(continued.to_json())))
        for counter in (whole, continued):
            if isinstance(outcome, str):
                counter.add_error(outcome)
            else:
                counter.add_result({**RESULT, "exitCode": outcome or 0, "files": [{"size": 5}]})
                counter.add_usage({"calls": 5, "seconds": 1.5})
    assert whole.summary(1.5) == continued.summary(1.5)
    summary = whole.summary()
    results = [outcome for outcome in outcomes if not isinstance(outcome, str)]
    assert (summary.count, summary.succeeded, summary.failed) == (
        len(outcomes),
        len(results),
        len(outcomes) - len(results),
    )
    assert (summary.programs_failed, summary.bytes, summary.calls) == (
        sum(1 for result in results if result),
        5 * len(results),
        5 * len(results),
    )


def test_the_cost_is_estimated_from_list_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    counter = SummaryCounter()
    counter.add_result({**RESULT, "executionTimeMs": 3_600_000})
    counter.add_usage({"calls": 5, "seconds": 7_200})
    assert batch_usd(counter, 10) == pytest.approx(
        0.0895 + 2 * 0.00945 + 7_200 * 0.0000133334 + 10 * 0.0000002 + 30 * 0.000025, abs=1e-9
    )


def test_the_files_of_an_item_are_its_text_and_the_objects_that_it_names() -> None:
    batch = RunBatch.from_json({**BATCH, "itemInputs": [{"path": "photo.jpg", "s3UriFrom": "photo"}]})
    text = '{"photo": "s3://bucket/inputs/1.jpg", "n": 12345678901234567890}'
    request = item_request(batch, BatchItem(3, text))
    files = {file.path: file.data or (file.s3_uri and file.s3_uri.uri) for file in request.inputs}
    assert files == {"item.json": text.encode(), "photo.jpg": "s3://bucket/inputs/1.jpg"}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"items": {"location": "s3://bucket/a", "format": "s3-prefix"}}, "items: location does not end with a slash"),
        ({"toleratedFailures": "101%"}, "toleratedFailures is '101%'; allowed: a whole number of items"),
        (
            {"request": {"code": "pass", "inputs": [{"path": "item.json", "text": "1"}]}},
            "request.inputs[0].path is 'item.json'; allowed: unique paths",
        ),
        (
            {"itemInputs": [{"path": "item.json/a", "s3UriFrom": "a"}]},
            "itemInputs[0].path is 'item.json/a'; allowed: unique paths",
        ),
        ({"itemsPerSession": 1_001}, "itemsPerSession is 1001; allowed: a whole number of items from 1 to 1,000"),
    ],
)
def test_an_invalid_batch_is_rejected_with_the_field(change: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        RunBatch.from_json({**BATCH, **change})
    assert str(raised.value).startswith(problem)


def test_calls_to_a_session_are_paced_and_counted() -> None:
    sent: list[float] = []

    def invoke(_: object) -> None:
        sent.append(time.monotonic())

    clients: Any = SimpleNamespace(invoke=invoke, sessions=None, s3=None)
    metered = MeteredClients(clients, 0.05)
    for _ in range(3):
        metered.invoke(1)
    _ = metered.sessions
    assert all(later - earlier >= 0.05 for earlier, later in pairwise(sent))
    assert metered.take_usage()["calls"] == 4
    assert metered.take_usage()["calls"] == 0


def test_sessions_one_after_another_do_not_exceed_the_rate_of_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 400 sessions sends three calls, which take no time apart from their pace."""
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    def invoke(_: object) -> None:
        pass

    monkeypatch.setattr(metered_clients, "time", SimpleNamespace(monotonic=lambda: now, sleep=sleep))
    monkeypatch.setattr(metered_clients, "random", Random(1))
    clients: Any = SimpleNamespace(invoke=invoke)
    for _ in range(400):
        metered = MeteredClients(clients, 2.0)
        for _ in range(3):
            metered.invoke(1)
    assert 3 * 400 / now < 1.05 / 2.0
