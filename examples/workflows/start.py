"""Starts one of the workflows, waits for it and prints its output: `start.py Connector '{"code": "print(6 * 7)"}'`.

If the workflow fails, prints its error and cause to stderr and ends with exit code 1. If it cannot be started, ends
with exit code 2.
"""

from __future__ import annotations

import sys
import time

import boto3

STACK = "workflow-examples"


def main(arguments: list[str]) -> int:
    """Runs a workflow and returns the exit code.

    Args:
        arguments: The workflow's name in the stack's outputs, such as `Connector`, and its input as JSON.
    """
    if len(arguments) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    workflow, request = arguments
    stacks, workflows = boto3.client("cloudformation"), boto3.client("stepfunctions")
    outputs = stacks.describe_stacks(StackName=STACK)["Stacks"][0].get("Outputs", [])
    arns = {output.get("OutputKey", ""): output.get("OutputValue", "") for output in outputs}
    if f"{workflow}Arn" not in arns:
        names = " | ".join(name.removesuffix("Arn") for name in arns if name.endswith("Arn"))
        print(f"{workflow} is not a workflow of the stack {STACK}; allowed: {names}", file=sys.stderr)
        return 2
    execution = workflows.start_execution(stateMachineArn=arns[f"{workflow}Arn"], input=request)["executionArn"]
    while (state := workflows.describe_execution(executionArn=execution))["status"] == "RUNNING":
        time.sleep(0.5)
    if state["status"] != "SUCCEEDED":
        print(f"{state['status']}: {state.get('error')}: {state.get('cause')}", file=sys.stderr)
        return 1
    print(state.get("output"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
