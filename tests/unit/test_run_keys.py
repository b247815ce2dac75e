"""The S3 key of a run: the same for every attempt, and different from other runs' keys."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandpiper_contract.run import Run

ARN = "arn:aws:states:eu-west-1:123456789012"


@pytest.mark.parametrize(
    ("run", "key"),
    [
        (Run(f"{ARN}:execution:flow:daily-1", "Run code"), "flow/daily-1/Run code"),
        (Run(f"{ARN}:execution:flow:daily-1", "Run", 0, 2), "flow/daily-1/Run/item=0/round=2"),
        (Run(f"{ARN}:execution:flow/Rows:0f-1", "Run"), "flow%2FRows/0f-1/Run"),
        (Run(f"{ARN}:express:flow:daily-1:0f-1", "Run"), "flow/daily-1%3A0f-1/Run"),
        (Run("arn:aws-cn:states:cn-north-1:123456789012:execution:flow:1", "Grüße"), "flow/1/Gr%C3%BC%C3%9Fe"),
        (Run("notebook 7"), "=none/notebook 7/=none"),
        (
            Run(
                f"{ARN}:execution:flow:daily-1",
                "Run",
                entered="2026-11-21T07:00:00.000Z",
                item="3/4",
                retry=2,
                redrive=1,
            ),
            "flow/daily-1/Run/entered=2026-11-21T070000.000Z/id=3%2F4",
        ),
        (Run("../..", ".."), "=none/..%2F../%2E%2E"),
    ],
)
def test_a_key_is_readable(run: Run, key: str) -> None:
    assert run.key == key


NAMES = st.sampled_from(["a", "b", "a/b", "a:b", "=none", "item=1", "item-1", "files", ".", "..", "%2E", "a" * 200])
EXECUTIONS = st.one_of(
    NAMES,
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=5).filter(str.strip),
    st.builds("{}:{}:{}:{}".format, st.just(ARN), st.sampled_from(["execution", "express"]), NAMES, NAMES),
)
NUMBERS = st.none() | st.integers(0, 2)
STATES = st.none() | NAMES.map(lambda name: name[:80])
TIMES = st.none() | st.sampled_from(["2026-11-21T07:00:00.000Z", "2026-11-21T07:00:00.001Z"])
ITEMS = st.none() | NAMES.map(lambda name: name[:64])
RUNS = st.builds(
    Run, EXECUTIONS, STATES, NUMBERS, NUMBERS, st.none(), TIMES, ITEMS, st.none() | st.just(0), st.none() | st.just(1)
)


def identity(run: Run) -> tuple[object, ...]:
    """Returns the identity of a run. Whether a workflow is an express workflow does not matter: its name is unique."""
    execution = re.sub(":express:", ":execution:", run.execution)
    return (execution, run.state, run.index, run.iteration, run.entered, run.item)


@settings(max_examples=1000)
@given(RUNS, RUNS)
def test_runs_have_different_keys_and_none_is_below_anothers_files(one: Run, other: Run) -> None:
    assert (one.key == other.key) is (identity(one) == identity(other))
    assert not one.key.startswith((f"{other.key}/files", f"{other.key}/claim.json"))


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=2048).filter(str.strip), STATES)
def test_a_key_leaves_room_for_files_and_contains_no_parent_folder(execution: str, state: str | None) -> None:
    key = Run(execution, state, 2**31, 2**31, entered="2026-11-21T07:00:00.123456789Z", item="é" * 64).key
    assert len(key.encode()) <= 640
    assert not {"", ".", ".."} & set(key.split("/"))
