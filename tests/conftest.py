"""Settings of the whole test run: skips that fail CI, the order of modules, and costs that tests share."""

from __future__ import annotations

import functools
import gc
import os
import signal
from typing import TYPE_CHECKING

import botocore.session
import pytest

from tests.support.schedule import GroupScheduling, order_of

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter
    from xdist.remote import Producer

NEVER_SKIPPED = ("tests/security/", "tests/local/")


def pytest_configure() -> None:
    """Restores the default handling of signals and shares the models of AWS services between boto3 sessions."""
    # A background job of a shell ignores SIGINT, nohup ignores SIGHUP, and processes inherit that. Tests send both.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    # Each boto3 session parses the JSON of the services that it uses: 50 ms to 150 ms of CPU for each client, many
    # times per test. The models are read-only, so that one loader serves all sessions.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Starts what takes longest first."""
    items.sort(key=lambda item: order_of(item.path.as_posix()))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> GroupScheduling:
    """Distributes groups of modules to the workers."""
    return GroupScheduling(config, log)


def pytest_collection_finish() -> None:
    """Excludes imported modules from garbage collection: a full collection takes 150 ms."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, fails the run if a security or end-to-end test was skipped or expected to fail."""
    if os.environ.get("CI") and _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Names the skipped tests that fail the run in CI."""
    for node in _skipped(config):
        terminalreporter.write_line(f"skipped, which CI does not accept: {node}", red=True)


def _skipped(config: pytest.Config) -> list[str]:
    reporter: TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    reports = [report for kind in ("skipped", "xfailed") for report in reporter.stats.get(kind, [])] if reporter else []
    return [report.nodeid for report in reports if report.nodeid.startswith(NEVER_SKIPPED)]
