"""Queries of Logs Insights on the embedded AWS, case by case from its documentation.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.cloudwatch.errors import InvalidQueryError
from local_aws.cloudwatch.logs_insights.query import parse

START = 1_796_040_000_000
"""2026-11-30 12:00:00 UTC in milliseconds."""
MESSAGES: list[Any] = [
    {"event": "run", "service": "one", "seconds": 1, "usage": {"calls": 3}, "session.id": "a", "files": ["x", "y"]},
    {"event": "run", "service": "two", "seconds": 4.5, "usage": {"calls": 1}, "error": "CodeFailed"},
    {"event": "run", "service": "one", "seconds": 2, "usage": {"calls": 2}, "text": "it's 50% done"},
    "user=ana, latency 12 ms [ok]",
    "REPORT RequestId: 1-2\tDuration: 100.5 ms\tBilled Duration: 101 ms\tMemory Size: 256 MB\tMax Memory Used: 90 MB",
]
RECORDS = [
    {
        "@timestamp": float(START + index * 60_000),
        "@ingestionTime": float(START),
        "@message": message if isinstance(message, str) else json.dumps(message),
        "@logStream": "stream",
        "@log": "123456789012:group",
        "@ptr": f"p{index}",
    }
    for index, message in enumerate(MESSAGES)
]
ONE = "filter event = 'run' | sort seconds | "
CASES: list[tuple[str, list[dict[str, str]]]] = [
    (f"{ONE}fields service, seconds | limit 1", [{"service": "one", "seconds": "1"}]),
    (f"{ONE}fields usage.calls", [{"usage.calls": "3"}, {"usage.calls": "2"}, {"usage.calls": "1"}]),
    (f"{ONE}fields `session.id` as id | limit 1", [{"id": "a"}]),
    (f"{ONE}fields files.1 | limit 1", [{"files.1": "y"}]),
    ("sort @timestamp asc | limit 1 | fields @timestamp, @logStream",
     [{"@timestamp": "2026-11-30 12:00:00.000", "@logStream": "stream"}]),
    ("fields @ptr | limit 2", [{"@ptr": "p4"}, {"@ptr": "p3"}]),
    ("filter service = 'one' and seconds > 1 | fields seconds", [{"seconds": "2"}]),
    ("filter service != 'one' and event = 'run' | fields seconds", [{"seconds": "4.5"}]),
    ("filter seconds >= 2 or usage.calls = 3 | sort seconds desc | fields seconds",
     [{"seconds": "4.5"}, {"seconds": "2"}, {"seconds": "1"}]),
    ("filter not (seconds < 2) and ispresent(seconds) | sort seconds | fields seconds",
     [{"seconds": "2"}, {"seconds": "4.5"}]),
    ("filter service in ['two', 'three'] | fields seconds", [{"seconds": "4.5"}]),
    ("filter event = 'run' and service not in ['two'] | sort seconds | fields seconds",
     [{"seconds": "1"}, {"seconds": "2"}]),
    ("filter @message like 'latency' | fields @ptr", [{"@ptr": "p3"}]),
    ("filter @message like /(?i)LATENCY \\d+/ | fields @ptr", [{"@ptr": "p3"}]),
    ("filter @message =~ /USER/ | fields @ptr", []),
    ("filter ispresent(error) and error not like /Timeout/ | fields error", [{"error": "CodeFailed"}]),
    ("filter text = \"it's 50% done\" | fields strlen(text) as length", [{"length": "13"}]),
    ("filter text = 'it\\'s 50% done' | fields seconds", [{"seconds": "2"}]),
    (f"{ONE}fields seconds * 1000 / 2 as half | limit 1", [{"half": "500"}]),
    (f"{ONE}fields (seconds + 1) ^ 2 % 3 as x | limit 1", [{"x": "1"}]),
    (f"{ONE}fields -seconds as x, concat(service, '-', event) as y | limit 1", [{"x": "-1", "y": "one-run"}]),
    (f"{ONE}fields coalesce(error, 'none') as e | sort e", [{"e": "CodeFailed"}, {"e": "none"}, {"e": "none"}]),
    (f"{ONE}fields toupper(service) as x, substr(service, 1, 1) as y | limit 1", [{"x": "ONE", "y": "n"}]),
    (f"{ONE}fields seconds | display service | limit 1", [{"service": "one"}]),
    (f"{ONE}dedup service | fields service, seconds",
     [{"service": "one", "seconds": "1"}, {"service": "two", "seconds": "4.5"}]),
    ("parse @message 'user=*, latency * ms' as user, latency | filter ispresent(user) | fields user, latency",
     [{"user": "ana", "latency": "12"}]),
    ("parse /user=(?<user>\\w+).*\\[(?<state>\\w+)\\]/ | filter user = 'ana' | fields user, state",
     [{"user": "ana", "state": "ok"}]),
    ("stats count(*) as n", [{"n": "5"}]),
    ("filter event = 'run' | stats count(*), sum(seconds), avg(seconds), max(seconds), min(seconds)",
     [{"count(*)": "3", "sum(seconds)": "7.5", "avg(seconds)": "2.5", "max(seconds)": "4.5", "min(seconds)": "1"}]),
    ("stats count(error) as errors, count_distinct(service) as services, median(seconds) as m, pct(seconds, 50) as p",
     [{"errors": "1", "services": "2", "m": "2", "p": "2"}]),
    ("filter ispresent(service) | stats sum(usage.calls) as calls by service | sort calls desc",
     [{"service": "one", "calls": "5"}, {"service": "two", "calls": "1"}]),
    ("filter event = 'run' | stats sum(seconds) / count(*) as mean", [{"mean": "2.5"}]),
    ("filter event = 'run' | stats latest(seconds) as last, earliest(seconds) as first", [{"last": "2", "first": "1"}]),
    ("stats count(*) as n by bin(3m) | sort n",
     [{"bin(3m)": "2026-11-30 12:03:00.000", "n": "2"}, {"bin(3m)": "2026-11-30 12:00:00.000", "n": "3"}]),
    ("filter event = 'run' | stats max(seconds) as s by service | filter s > 2 | limit 5",
     [{"service": "two", "s": "4.5"}]),
    ('filter @type = "REPORT" | stats max(@maxMemoryUsed / 1000000) as used, max(@memorySize / 1000000) as size',
     [{"used": "90", "size": "256"}]),
    ("filter @type = 'REPORT' | fields @duration, @billedDuration, @requestId",
     [{"@duration": "100.5", "@billedDuration": "101", "@requestId": "1-2"}]),
    ("fields @ptr # a comment\n| limit 1", [{"@ptr": "p4"}]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "expected"), CASES)
def test_query(query: str, expected: list[dict[str, str]]) -> None:
    rows, _ = parse(query).run(RECORDS)
    assert rows == expected


def test_default_fields_are_the_time_and_the_message_of_the_latest_events() -> None:
    rows, matched = parse("filter event = 'run'").run(RECORDS, limit=1)
    assert rows == [{"@timestamp": "2026-11-30 12:02:00.000", "@message": json.dumps(MESSAGES[2])}]
    assert matched == 3


def test_times_are_displayed_as_dates_and_computed_as_milliseconds() -> None:
    rows, _ = parse("stats latest(@timestamp) as last, max(@timestamp) as ms by bin(1h) as hour").run(RECORDS)
    assert rows == [{"hour": "2026-11-30 12:00:00.000", "last": "2026-11-30 12:04:00.000", "ms": f"{START + 240_000}"}]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "unexpected the end at 0; expected: field"),
        ("fields a |", "expected: a command"),
        ("pattern @message", "The command pattern is not supported; allowed: fields"),
        ("fields foo(a)", "The function foo is not supported; allowed: abs"),
        ("filter a = ", "unexpected the end"),
        ("filter a ~ 1", "Unexpected character '~'"),
        ("filter a like /(/", "The regular expression /\\(/ is invalid"),
        ("stats sum(a, b)", "sum has 2 arguments; allowed: 1"),
        ("stats foo(a)", "expected: avg | max"),
        ("parse @message 'a*b*' as x", "has 2 parts and 1 names"),
        ("stats count(*) by bin(1mo)", "The period 1mo is not supported"),
        ("sort a | limit x", "expected: number"),
    ],
)
def test_invalid_query_is_rejected(query: str, message: str) -> None:
    with pytest.raises(InvalidQueryError, match=message):
        parse(query)
