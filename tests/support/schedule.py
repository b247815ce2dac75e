"""The distribution of test modules over workers.

A module runs on one worker. Each worker starts one embedded AWS and deploys the product to it, when the first module
needs them, so that modules that use these fixtures run on any worker. Modules that take longest start first: a long
module at the end would leave the other workers without work.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

LONGEST_FIRST = (
    "local/test_cli",
    "local/test_file_transfer",
    "local/test_at_most_once",
    "local/test_batch_workflow",
    "local/test_how_to_pages",
    "templates",
    "local/test_agent_tools",
    "local/test_environment_network",
    "local/test_iam",
    "local/test_workflow_examples",
    "local/test_service_roles",
    "local/test_runs_in_workflows",
    "security/test_resource_exhaustion",
    "security/test_process_cleanup",
    "security/test_session_isolation",
    "local/test_retries_after_faults",
    "local/test_plan",
    "local/test_code_runner",
    "local/test_figures",
    "local/test_charting_agent",
    "local/test_agentcore_api",
    "local/test_runs",
    "local/test_timeouts",
    "local/test_session_stopper",
    "policy/test_oracle",
    "unit/test_records",
)
"""The groups that take longest, by CPU time and waits."""
INTERNET = ("test_network", "test_name_server")
"""Modules of tests/security that share the simulated internet."""


def group_of(path: str) -> str:
    """Returns the name of the group of the module at `path`: modules of a group run on the same worker.

    Example:
        >>> group_of("tests/local/test_cli.py"), group_of("tests/templates/test_iam.py")
        ('local/test_cli', 'templates')
    """
    folder, module = path.removesuffix(".py").split("/")[-2:]
    if folder == "security" and module in INTERNET:
        return "internet"
    if folder in ("browser", "templates"):
        return folder  # their modules share a browser, or synthesized apps
    return f"{folder}/{module}"


def order_of(path: str) -> int:
    """Returns the position of the group of a module: long ones first, then those that wait for sandboxes."""
    group = group_of(path)
    if group in LONGEST_FIRST:
        return LONGEST_FIRST.index(group)
    return len(LONGEST_FIRST) + (not group.startswith(("local/", "security/", "internet")))


class GroupScheduling(LoadScopeScheduling):
    """Assigns whole groups to workers. xdist's own `loadgroup` has no effect with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])
