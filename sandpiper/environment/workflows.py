"""Contains the options of workflows: which are deployed, the roles that start them and read their executions."""

from typing import Annotated

from pydantic import Field

from sandpiper.environment.options import ALLOWED_ROLE_ARN, AsTuple, EmptyAsDefault, ExactRoleArn, Options, option
from sandpiper.names import RUN_CODE, RUN_COMMAND, WORKFLOW_NAMES

WorkflowRoles = Annotated[tuple[ExactRoleArn, ...], Field(max_length=50), AsTuple]
ALLOWED_WORKFLOW_ROLES = f"a list of at most 50, each {ALLOWED_ROLE_ARN}"


class WorkflowOptions(Options):
    """The roles that use a workflow. Without them, only other policies of the account allow it."""

    starters: WorkflowRoles = option(
        "roles that can start, describe and stop executions, and nothing else; roles of other accounts assume a role "
        "here",
        ALLOWED_WORKFLOW_ROLES,
        (),
    )
    readers: WorkflowRoles = option(
        "roles that can assume a role here, which reads executions and the files of runs",
        ALLOWED_WORKFLOW_ROLES,
        (),
    )


WorkflowName = Annotated[str, Field(pattern=f"^({'|'.join(WORKFLOW_NAMES)})$", description=" | ".join(WORKFLOW_NAMES))]
Workflows = Annotated[dict[WorkflowName, Annotated[WorkflowOptions, EmptyAsDefault]], Field(min_length=1)]
DEFAULT_WORKFLOWS = {RUN_CODE: WorkflowOptions(), RUN_COMMAND: WorkflowOptions()}
ALLOWED_WORKFLOWS = f"a mapping of {', '.join(WORKFLOW_NAMES)}, each {{}} or {{starters: [ROLE], readers: [ROLE]}}"
