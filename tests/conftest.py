"""What holds for all tests: in CI a security or end-to-end test that was skipped, or let fail, fails the run."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.terminal import TerminalReporter

NEVER_SKIPPED = ("tests/security/", "tests/local/")


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and all that it starts inherits that: tests send it and look."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turns a green run with such a skip into a red one."""
    if os.environ.get("CI") and _skipped(session.config) and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Names them."""
    for node in _skipped(config):
        terminalreporter.write_line(f"skipped, which CI does not accept: {node}", red=True)


def _skipped(config: pytest.Config) -> list[str]:
    reporter: TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    reports = [report for kind in ("skipped", "xfailed") for report in reporter.stats.get(kind, [])] if reporter else []
    return [report.nodeid for report in reports if report.nodeid.startswith(NEVER_SKIPPED)]
