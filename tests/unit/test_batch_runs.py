"""Batches of any items with faults at any calls: each item runs at most once, and every item has one line."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.support.account_in_memory import FAULTS, AccountInMemory, Fault, Stopped, printed_item
from tests.support.batch_runs import BatchRun

if TYPE_CHECKING:
    from sandpiper_contract.batches import ItemResult

ITEMS = st.lists(
    st.one_of(
        st.integers(), st.text(max_size=3), st.fixed_dictionaries({"exit": st.sampled_from([0, 0, 1])}), st.none()
    ),
    min_size=1,
    max_size=9,
)
REQUESTS = st.fixed_dictionaries(
    {"request": st.fixed_dictionaries({"code": st.just("print"), "failOnError": st.booleans()})},
    optional={"itemsPerSession": st.integers(1, 4)},
)
NOT_RUN = ("NotStarted", "Throttled", "QuotaExceeded", "AccessDenied", "StorageError", "InvalidRequest")
"""Errors that state that the code has not run."""


def run(items: list[Any], request: dict[str, Any], faults: dict[int, Fault] | None = None) -> BatchRun:
    """Runs a batch, whose program prints its item. The outputs are empty, so that no files are collected."""
    program: dict[str, Any] = {**request["request"], "outputs": {"paths": []}}
    batch = BatchRun(AccountInMemory(printed_item, faults or {}), {**request, "request": program})
    with batch.account.virtual_time(), suppress(Stopped):
        batch.execute([{"n": number, "item": item, **_exit(item)} for number, item in enumerate(items)])
    return batch


def _exit(item: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", item) if isinstance(item, dict) else {}


@settings(deadline=None, max_examples=60)
@given(items=ITEMS, request=REQUESTS)
def test_every_item_runs_once_in_its_order_and_is_counted(items: list[Any], request: dict[str, Any]) -> None:
    batch = run(items, request)
    results = batch.results()
    printed = [text.decode() for text in batch.account.programs]
    assert [each.index for each in results] == list(range(len(items)))
    codes = [_exit(item).get("exit", 0) for item in items]
    fails = request["request"]["failOnError"]
    failed = ["CodeFailed" if fails and code else None for code in codes]
    assert [each.error.name if each.error else None for each in results] == failed
    assert [each.result.stdout if each.result else text for each, text in zip(results, printed, strict=True)] == printed
    check_summary(batch, results)
    assert batch.account.live == {}


def check_summary(batch: BatchRun, results: list[ItemResult]) -> None:
    """Compares the summary of a batch with its results."""
    assert batch.state is not None
    assert batch.state.summary is not None
    summary = batch.state.summary
    failures = Counter(each.error.name for each in results if each.error)
    assert (summary.count, summary.failed) == (len(results), failures.total())
    assert summary.succeeded == len(results) - failures.total()
    assert {each.name: each.count for each in summary.failures} == failures


@settings(deadline=None, max_examples=100)
@given(
    items=ITEMS,
    request=REQUESTS,
    faults=st.dictionaries(st.integers(6, 120), st.sampled_from(FAULTS), min_size=1, max_size=6),
)
def test_faults_at_any_call_run_no_item_twice_and_leave_no_session(
    items: list[Any], request: dict[str, Any], faults: dict[int, Fault]
) -> None:
    batch = run(items, request, faults)
    account = batch.account
    event(f"{sum(number < account.calls for number in faults)} faults")
    if batch.state is None:
        assert batch.error is not None
        assert account.programs == []
    else:
        check_results(batch, len(items))
    # A session stays only if its stop has failed, and the stop at the end of the batch as well.
    assert len(account.live) <= max(sum(number < account.calls for number in faults) - 1, 0)


@settings(deadline=None, max_examples=60)
@given(items=ITEMS, request=REQUESTS, at=st.integers(6, 90))
def test_a_stopped_batch_keeps_its_results_and_a_redrive_runs_the_rest(
    items: list[Any], request: dict[str, Any], at: int
) -> None:
    batch = run(items, request, {at: "stopped"})
    account = batch.account
    if batch.state is not None or not batch.groups:  # it had ended or was not prepared
        return
    before = len(account.programs)
    with account.virtual_time():
        batch.state = batch.stop()
    results = check_results(batch, len(items))
    assert sum(each.result is not None for each in results) <= before
    assert {each.error.name for each in results if each.error} <= {"NotStarted", "SessionLost", "CodeFailed"}
    assert account.live == {}
    with account.virtual_time():
        account.now += 900  # the function that was stopped has ended
        batch.redriven()
    redriven = check_results(batch, len(items))
    assert {each.error.name for each in redriven if each.error} <= {"SessionLost", "CodeFailed"}
    for first, second in zip(results, redriven, strict=True):
        assert first == second or (first.error is not None and first.error.name == "NotStarted")
    assert account.live == {}


def check_results(batch: BatchRun, count: int) -> list[ItemResult]:
    """Compares the results with the programs that ran: none twice, and each result belongs to its item."""
    results, ran = batch.results(), Counter(batch.account.programs)
    assert set(ran.values()) <= {1}
    assert [each.index for each in results] == list(range(count))
    check_summary(batch, results)
    texts = {json.loads(text)["n"]: text.decode() for text in ran}
    for each in results:
        if each.result is not None:
            assert each.result.stdout == texts[each.index]
        elif each.error is not None and each.error.name in NOT_RUN:
            assert each.index not in texts, each
    return results
