"""CDK constructs for AgentCore Code Interpreters: the interpreter, session function, workflows, data and monitoring.

Each construct can be imported from here and used in any CDK app. A module is imported at the first use of one of its
names, because importing its part of the CDK takes up to half a second.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sandpiper_constructs.alarm_topics import AlarmTopics
    from sandpiper_constructs.bucket_folder import BucketFolder
    from sandpiper_constructs.caller_access import CallerAccess
    from sandpiper_constructs.dashboard import TenantDashboard
    from sandpiper_constructs.data_bucket import DataBucket
    from sandpiper_constructs.execution_role import ExecutionRole
    from sandpiper_constructs.interpreter import CodeInterpreter
    from sandpiper_constructs.interpreter_access import CodeInterpreterBase
    from sandpiper_constructs.interpreter_dashboard import InterpreterDashboard
    from sandpiper_constructs.interpreter_logs import InterpreterLogs
    from sandpiper_constructs.metrics import Operation, OperationMetric, Usage
    from sandpiper_constructs.network_access import SANDBOX, PublicAccess, VpcAccess
    from sandpiper_constructs.operation_task import OperationTask
    from sandpiper_constructs.run_batch_workflow import RunBatchWorkflow
    from sandpiper_constructs.run_code_express_workflow import RunCodeExpressWorkflow
    from sandpiper_constructs.run_code_workflow import RunCodeWorkflow
    from sandpiper_constructs.run_command_workflow import RunCommandWorkflow
    from sandpiper_constructs.run_session_workflow import RunSessionWorkflow
    from sandpiper_constructs.sandbox_network import SandboxNetwork
    from sandpiper_constructs.session_function import BatchLimits, SessionFunction
    from sandpiper_constructs.session_stopper import SessionStopper
    from sandpiper_constructs.session_sweep import SessionSweep
    from sandpiper_constructs.session_workflow import SessionWorkflow
    from sandpiper_constructs.tenant_alarms import TenantAlarms, Thresholds, WorkflowAlarms
    from sandpiper_constructs.workflow_access import ReaderAccess, StarterAccess

_NAMES_BY_MODULE = {
    "alarm_topics": ("AlarmTopics",),
    "bucket_folder": ("BucketFolder",),
    "caller_access": ("CallerAccess",),
    "dashboard": ("TenantDashboard",),
    "data_bucket": ("DataBucket",),
    "execution_role": ("ExecutionRole",),
    "interpreter": ("CodeInterpreter",),
    "interpreter_access": ("CodeInterpreterBase",),
    "interpreter_dashboard": ("InterpreterDashboard",),
    "interpreter_logs": ("InterpreterLogs",),
    "metrics": ("Operation", "OperationMetric", "Usage"),
    "network_access": ("SANDBOX", "PublicAccess", "VpcAccess"),
    "operation_task": ("OperationTask",),
    "run_batch_workflow": ("RunBatchWorkflow",),
    "run_code_express_workflow": ("RunCodeExpressWorkflow",),
    "run_code_workflow": ("RunCodeWorkflow",),
    "run_command_workflow": ("RunCommandWorkflow",),
    "run_session_workflow": ("RunSessionWorkflow",),
    "sandbox_network": ("SandboxNetwork",),
    "session_function": ("BatchLimits", "SessionFunction"),
    "session_stopper": ("SessionStopper",),
    "session_sweep": ("SessionSweep",),
    "session_workflow": ("SessionWorkflow",),
    "tenant_alarms": ("TenantAlarms", "Thresholds", "WorkflowAlarms"),
    "workflow_access": ("ReaderAccess", "StarterAccess"),
}
_MODULES = {name: module for module, names in _NAMES_BY_MODULE.items() for name in names}

__all__ = [
    "SANDBOX",
    "AlarmTopics",
    "BatchLimits",
    "BucketFolder",
    "CallerAccess",
    "CodeInterpreter",
    "CodeInterpreterBase",
    "DataBucket",
    "ExecutionRole",
    "InterpreterDashboard",
    "InterpreterLogs",
    "Operation",
    "OperationMetric",
    "OperationTask",
    "PublicAccess",
    "ReaderAccess",
    "RunBatchWorkflow",
    "RunCodeExpressWorkflow",
    "RunCodeWorkflow",
    "RunCommandWorkflow",
    "RunSessionWorkflow",
    "SandboxNetwork",
    "SessionFunction",
    "SessionStopper",
    "SessionSweep",
    "SessionWorkflow",
    "StarterAccess",
    "TenantAlarms",
    "TenantDashboard",
    "Thresholds",
    "Usage",
    "VpcAccess",
    "WorkflowAlarms",
]


def __getattr__(name: str) -> object:
    """Imports and returns a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
