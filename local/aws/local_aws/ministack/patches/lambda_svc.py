"""Runs Lambda functions with `local_aws.lambda_runtime`, in the trace of the execution that calls them.

MiniStack's worker loses the class of an exception, and MiniStack has no traces.
"""

# MiniStack is installed in a separate environment, which the type checker does not see.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ministack.core.lambda_runtime import execution_credentials
from ministack.services import lambda_svc

from local_aws.ministack.patches import iam_roles, stepfunctions_outcomes, sts

if TYPE_CHECKING:
    from local_aws.lambda_runtime.functions import Functions

MINISTACK_VERSION = "1.5.33"
SERVICE_PRINCIPAL = "lambda.amazonaws.com"


def install(functions: Functions) -> None:
    """Replaces MiniStack's execution of functions. Lambda assumes the role of a function before each event."""

    def execute(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = function.get("config") or function
        try:
            iam_roles.assume_role(SERVICE_PRINCIPAL, config["Role"], config["FunctionArn"])
        except iam_roles.AccessDeniedError as error:
            message = f"The role defined for the function cannot be assumed by Lambda. {error}"
            return {"body": {"errorType": "AccessDeniedException", "errorMessage": message}, "log": "", "error": True}
        trace = stepfunctions_outcomes.trace_header()
        result = functions.invoke(config, function["code_zip"], event, request_id, lambda: _credentials(config), trace)
        return {"body": result.body, "log": result.log, **({"error": True} if result.failed else {})}

    lambda_svc._execute_function_warm = execute


def _credentials(config: dict[str, Any]) -> dict[str, str]:
    """Returns the environment variables with credentials of the function's role."""
    variables = execution_credentials(config)
    secret_access_key, session_token = sts.replace_secret(variables["AWS_ACCESS_KEY_ID"])
    return {**variables, "AWS_SECRET_ACCESS_KEY": secret_access_key, "AWS_SESSION_TOKEN": session_token}
