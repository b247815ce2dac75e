"""The distribution of test modules over workers.

A module runs on one worker. Modules that share an expensive session fixture run on the same worker, which sets it up
once. Groups and modules that take longest start first, so that no worker is left with a long one at the end.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

GROUPS = {
    "deployed": (  # the product, deployed to the embedded AWS
        "test_at_most_once",
        "test_boto3",
        "test_cli",
        "test_code_runner",
        "test_environment_network",
        "test_file_transfer",
        "test_iam",
        "test_object_access",
        "test_runs",
        "test_workflows",
    ),
    "aws": (  # an embedded AWS to which modules deploy their own environments
        "test_alarms",
        "test_assumptions",
        "test_audit_trail",
        "test_callers",
        "test_charting_agent",
        "test_collected_files",
        "test_data_access_attacks",
        "test_data_key",
        "test_deployment_policy",
        "test_failed_deployment",
        "test_figures",
        "test_how_to_pages",
        "test_interpreter_changes",
        "test_kms_object_checks",
        "test_plan",
        "test_policy_assumptions",
        "test_presigned_urls",
        "test_python_page",
        "test_s3_condition_keys",
        "test_s3_permissions",
        "test_session_stopper",
        "test_stack_resources",
        "test_status",
        "test_step_functions",
        "test_workflow_examples",
    ),
    "deployed later": (  # the other users of the product: one group of all would end last, with one core idle
        "test_agent_tools",
        "test_batch_workflow",
        "test_idempotency_record",
        "test_retries_after_faults",
        "test_run_code",
        "test_runs_in_workflows",
        "test_sandbox_role",
        "test_service_roles",
        "test_session_clean_up",
    ),
}
"""The modules of tests/local that share session fixtures, by group."""
SHARED_FIXTURES = ("aws", "deployed")
LONGEST_FIRST = (
    "test_resource_exhaustion",
    "test_process_cleanup",
    "test_agentcore_api",
    "test_session_isolation",
    "test_timeouts",
    "test_agentcore_wire",
    "templates",
    "test_oracle",
    "test_records",
)
"""The other modules that take longest."""
INTERNET = ("test_network", "test_name_server")
"""Modules of tests/security that share the simulated internet."""


def group_of(path: str) -> str:
    """Returns the name of the group of the module at `path`.

    Example:
        >>> group_of("tests/local/test_cli.py"), group_of("tests/unit/test_globs.py")
        ('deployed', 'unit/test_globs')
    """
    folder, module = path.removesuffix(".py").split("/")[-2:]
    if folder == "local":
        return next((group for group, modules in GROUPS.items() if module in modules), module)
    if folder == "security" and module in INTERNET:
        return "internet"
    if folder == "templates":
        return folder  # its modules share synthesized apps
    return module if module in LONGEST_FIRST else f"{folder}/{module}"


def order_of(path: str) -> int:
    """Returns the position of the group of a module: long ones first."""
    order = (*GROUPS, *LONGEST_FIRST)
    group = group_of(path)
    return order.index(group) if group in order else len(order)


class GroupScheduling(LoadScopeScheduling):
    """Assigns whole groups to workers. xdist's own `loadgroup` has no effect with pytest 9.2."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid.partition("::")[0])
