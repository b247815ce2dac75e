"""The state machine `run-batch`: one program for each of many items in S3, with the results in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from aws_cdk import Stack, Tags
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn

from sandpiper_constructs.cdk_values import seconds
from sandpiper_constructs.operation_task import MAX_RETRY_SECONDS, OperationTask
from sandpiper_constructs.session_workflow import SessionWorkflow, StopHandling, WorkflowOptions, state_machine_arn
from sandpiper_constructs.workflow_ending import JSONATA
from sandpiper_contract.aws import BATCH_WORKFLOW, COMPONENT_TAG
from sandpiper_contract.batches import CHILD_INPUT_BYTES
from sandpiper_contract.settings import BATCH_ITEMS_NAME, RUNS
from sandpiper_contract.workflows import MAX_BATCH_SECONDS

if TYPE_CHECKING:
    from constructs import Construct

    from sandpiper_constructs.bucket_folder import BucketFolder
    from sandpiper_constructs.session_function import SessionFunction

ITEMS_LABEL = "Items"
"""Part of the ARNs of the child executions: `…:execution:NAME/Items:UUID`."""
WAITING_RETRIES = 1_000
"""Retries of a task that waits for the function while other batches use all of its concurrency: with at most 60 s in
between, most of a day. Each takes five of the 25,000 events of an execution's history."""
LAMBDA_ERRORS = (
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ServiceException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
)
"""Errors after which the function may have run. Each item has its own record, so a retry runs no item twice.
https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception"""
MAX_LAMBDA_RETRIES = 3


class RunBatchWorkflow(SessionWorkflow):
    """Creates a state machine that runs a program for each item of a batch.

    The input is a `RunBatch` of the contract, the output its final `BatchState`. The session function needs
    `batch_limits`.

    Example:
        ```python
        function = SessionFunction(
            stack,
            "BatchFunction",
            service="claims",
            interpreters={"python": interpreter},
            folder=folder,
            reserved_concurrency=25,
            batch_limits=BatchLimits(max_concurrency=25),
        )
        RunBatchWorkflow(stack, "RunBatch", name="claims-run-batch", session_function=function, folder=folder)
        ```
    """

    def __init__(
        self,
        scope: Construct,
        id: str,  # noqa: A002 - the parameter's name in every construct
        *,
        name: str,
        session_function: SessionFunction,
        folder: BucketFolder,
        timeout_seconds: int = MAX_BATCH_SECONDS,
        **options: Unpack[WorkflowOptions],
    ) -> None:
        """Creates the state machine.

        Args:
            scope: parent construct.
            id: construct id, unique in its scope.
            name: the state machine's name, unique in its account and region.
            session_function: the function that runs the items.
            folder: the tenant's folder, as of the function.
            timeout_seconds: maximum duration of a batch. Default: 14 days.
            **options: `log_retention`, `key` and `retain_logs` of `WorkflowOptions`.
        """
        runs = folder.subfolder(RUNS).subfolder(name)
        items, children = f"*/{BATCH_ITEMS_NAME}", _children_arn(Stack.of(scope), name)
        super().__init__(
            scope,
            id,
            name=name,
            session_function=session_function,
            states=lambda scope: _states(scope, session_function),
            timeout_seconds=timeout_seconds,
            comment="Runs a program for each item of a batch",
            query_language=JSONATA,
            statements=[
                *_map_statements(Stack.of(scope), name),
                runs.object_statement("s3:GetObject", names=items),
                *folder.key_statements(write=False, parts=[runs]),
            ],
            wildcards={
                children: "The names of child executions are chosen by Step Functions.",
                runs.bucket.arn_for_objects(f"{runs.path}/{items}"): "Each execution has a folder with its items.",
            },
            # The execution of the batch stops the sessions of its child executions.
            stop_handling=StopHandling(
                operation="finish_batch",
                request={"stopped": True},
                child_executions=False,
            ),
            **options,
        )
        Tags.of(self.node.find_child("Role")).add(
            COMPONENT_TAG, BATCH_WORKFLOW
        )  # by which the policy of the data bucket allows the items


def _states(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    prepare = OperationTask(
        scope,
        "PrepareBatch",
        session_function=session_function,
        operation="prepare_batch",
        query_language=JSONATA,
        comment="Validates the request and every item before any code runs",
        max_retries=WAITING_RETRIES,
    )
    finish = OperationTask(
        scope,
        "FinishBatch",
        session_function=session_function,
        operation="finish_batch",
        query_language=JSONATA,
        request={},
        max_retries=WAITING_RETRIES,
        comment="Writes the results in the order of the items, as far as the time of one invocation allows",
    )
    _retry_lambda_errors(finish, "ServiceFault", "StorageError")
    is_finished = sfn.Choice.jsonata(scope, "Is everything written?", comment="Continues with the next results")
    done = sfn.Succeed.jsonata(scope, "Done", comment="The output has the summary and the address of the results")
    is_finished.when(sfn.Condition.jsonata("{% $states.input.finished %}"), done).otherwise(finish)
    items = sfn.CustomState(scope, ITEMS_LABEL, state_json=_map_state(scope, session_function))
    return prepare.next(items).next(finish).next(is_finished)


def _map_state(scope: Construct, session_function: SessionFunction) -> dict[str, Any]:
    """Returns the Distributed Map. The CDK's construct does not support expressions in all of its fields."""
    batch = "$states.input"
    processor = sfn.StateGraph(_child_states(scope, session_function).start_state, "Items")
    return {
        "Type": "Map",
        "Comment": "Starts a child execution for each item, or for each group of items that share a session",
        "Label": ITEMS_LABEL,
        "ItemReader": {
            "Resource": f"arn:{Stack.of(scope).partition}:states:::s3:getObject",
            "ReaderConfig": {"InputType": "JSONL"},
            "Arguments": {"Bucket": f"{{% {batch}.bucket %}}", "Key": f"{{% {batch}.key %}}"},
        },
        "ItemBatcher": {
            "MaxItemsPerBatch": f"{{% {batch}.itemsPerSession %}}",
            "MaxInputBytesPerBatch": CHILD_INPUT_BYTES,
            "BatchInput": {"execution": "{% $states.context.Execution.Id %}"},
        },
        "MaxConcurrency": f"{{% {batch}.maxConcurrency %}}",
        "ToleratedFailureCount": f"{{% {batch}.toleratedCount %}}",
        "ToleratedFailurePercentage": f"{{% {batch}.toleratedPercentage %}}",
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            **processor.to_graph_json(JSONATA),
        },
        # The results are in the records of the items. Together they can exceed the size of a state.
        "Output": {},
    }


def _child_states(scope: Construct, session_function: SessionFunction) -> sfn.IChainable:
    run = OperationTask(
        scope,
        "RunItems",
        session_function=session_function,
        operation="run_items",
        query_language=JSONATA,
        request={"execution": "{% $states.input.BatchInput.execution %}", "items": "{% $states.input.Items %}"},
        comment="Runs the items one after another, as far as the time of one invocation allows",
        outputs="{% $merge([$states.input, {'state': $states.result}]) %}",
        max_retries=WAITING_RETRIES,
    )
    _retry_lambda_errors(run)
    remain = sfn.Choice.jsonata(scope, "Do items remain?", comment="Runs the remaining items in a new session")
    ended = sfn.Succeed.jsonata(
        scope, "Ended", comment="The results are in the records of the items", outputs="{% $states.input.state %}"
    )
    remain.when(sfn.Condition.jsonata("{% $states.input.state.remaining > 0 %}"), run).otherwise(ended)
    return run.next(remain)


def _retry_lambda_errors(task: OperationTask, *others: str) -> None:
    task.add_retry(
        errors=[*LAMBDA_ERRORS, *others],
        interval=seconds(2),
        max_delay=seconds(MAX_RETRY_SECONDS),
        backoff_rate=2,
        max_attempts=MAX_LAMBDA_RETRIES,
        jitter_strategy=sfn.JitterType.FULL,
    )


def _map_statements(stack: Stack, name: str) -> list[iam.PolicyStatement]:
    """Returns the permissions for a Distributed Map to start, describe, stop and redrive its child executions.

    https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
    """
    return [
        iam.PolicyStatement(actions=["states:StartExecution"], resources=[state_machine_arn(stack, name)]),
        iam.PolicyStatement(
            actions=["states:DescribeExecution", "states:StopExecution", "states:RedriveExecution"],
            resources=[_children_arn(stack, name)],
        ),
    ]


def _children_arn(stack: Stack, name: str) -> str:
    return f"arn:{stack.partition}:states:{stack.region}:{stack.account}:execution:{name}/{ITEMS_LABEL}:*"
