"""Settings of the whole test run: skips that fail CI, the order of modules, and costs that tests share."""

from __future__ import annotations

import functools
import gc
import os
import signal
from collections import defaultdict
from typing import TYPE_CHECKING

import botocore.session
import pytest

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from _pytest.terminal import TerminalReporter

NEVER_SKIPPED = ("tests/security/", "tests/local/")
SHARED = ("deployed", "aws")
"""Session fixtures that take long to set up. All modules that use one run on the same worker, which sets it up once:
the deployed product, and an embedded AWS for modules that deploy environments themselves."""
LONGEST_FIRST = (
    "test_environment_network",
    "test_resource_exhaustion",
    "test_session_isolation",
    "test_process_cleanup",
    "templates",
    "test_network",
    "test_agentcore_api",
    "test_secrets",
    "test_deployment_policy",
    "test_agentcore_wire",
    "test_oracle",
    "test_records",
)
"""The other modules that take longest, so that no worker is left with a long one at the end."""


def pytest_configure() -> None:
    """Restores the default handling of signals and shares the models of AWS services between boto3 sessions."""
    # A background job of a shell ignores SIGINT, nohup ignores SIGHUP, and processes inherit that. Tests send both.
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    # Each boto3 session parses the JSON of the services that it uses: 50 ms to 150 ms of CPU for each client, many
    # times per test. The models are read-only, so that one loader serves all sessions.
    botocore.session.create_loader = functools.cache(botocore.session.create_loader)


@pytest.hookimpl(wrapper=True)  # xdist reads the groups in a hook that runs before those of conftest files
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Keeps each module, and all users of a shared fixture, on one worker. Starts what takes longest first."""
    fixtures: dict[Path, set[str]] = defaultdict(set)
    for item in items:
        fixtures[item.path] |= set(getattr(item, "fixturenames", ()))
    order = {name: number for number, name in enumerate((*SHARED, *LONGEST_FIRST))}

    def group(path: Path) -> str:
        default = "templates" if path.parent.name == "templates" else path.stem  # templates share synthesised apps
        return next((name for name in SHARED if name in fixtures[path]), default)

    groups = {item: _own_group(item) or group(item.path) for item in items}
    for item, name in groups.items():
        item.add_marker(pytest.mark.xdist_group(name))
    items.sort(key=lambda item: order.get(groups[item], len(order)))
    yield


def _own_group(item: pytest.Item) -> str | None:
    mark = item.get_closest_marker("xdist_group")
    return None if mark is None else mark.args[0]


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
