"""The operations of the matrix, as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sandpiper.names import TENANTS_PREFIX
from sandpiper.plan.resource_types import FUNCTION, INTERPRETER, KEY, LOG_GROUP, WORKFLOW
from sandpiper.review.proofs.subjects import data_buckets, tags_of
from sandpiper_contract.aws import AGENTCORE, TENANT_TAG
from sandpiper_contract.settings import INPUTS, RECORD_NAME, RUNS
from sandpiper_policy.model.graph import EdgeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sandpiper.environment.expected_access import AccessOperation
    from sandpiper.review.model import ReviewModel
    from sandpiper.review.resources import Resource

RUN = "report/nightly-1/RunCode"
"""An example of a run: state machine, execution and state."""


@dataclass(frozen=True)
class Operation:
    """One operation.

    Attributes:
        title: Its title.
        action: The action of the request.
        subjects: Returns the resources of a tenant that the operation is about; the first one is requested.
        arn: Returns the ARN of the request for a resource and the name of the tenant. Default: that of the resource.
        required: Whether identity-based policies count only when the resource policy names the account.
        context: Further condition keys of the request.
    """

    title: AccessOperation
    action: str
    subjects: Callable[[ReviewModel, str], list[Resource]]
    arn: Callable[[Resource, str], str] = field(default=lambda resource, _: resource.arn)
    required: bool = False
    context: Mapping[str, str] = field(default_factory=dict[str, str])


def tenant_of(resource: Resource) -> str:
    """Returns the tenant of a resource by its tag; empty without one."""
    return tags_of(resource).get(TENANT_TAG, "")


def _of_type(*types: str) -> Callable[[ReviewModel, str], list[Resource]]:
    """Returns a function that returns the resources of a tenant with one of the types."""
    return lambda model, tenant: [one for one in model.of_type(*types) if tenant_of(one) == tenant]


def _data_buckets(model: ReviewModel, _tenant: str) -> list[Resource]:
    return list(data_buckets(model))


def _data_keys(model: ReviewModel, _tenant: str) -> list[Resource]:
    return list(model.of_type(KEY))


def _session_functions(model: ReviewModel, tenant: str) -> list[Resource]:
    """Returns the functions of a tenant that its state machines invoke."""
    targets = {edge.target for edge in model.policies.graph.edges if edge.kind is EdgeKind.INVOKES}
    return [one for one in _of_type(FUNCTION)(model, tenant) if one.address in targets]


def _execution_roles(model: ReviewModel, tenant: str) -> list[Resource]:
    """Returns the roles of the interpreters of a tenant."""
    interpreters = {one.address for one in _of_type(INTERPRETER)(model, tenant)}
    roles = [edge.target for edge in model.policies.graph.edges if edge.source in interpreters]
    return [model.by_address[role] for role in roles if role in model.by_address]


def _object(*path: str) -> Callable[[Resource, str], str]:
    """Returns a function that returns the ARN of an object in the folder of a tenant."""
    return lambda bucket, tenant: "/".join((bucket.arn, TENANTS_PREFIX, tenant, *path))


OPERATIONS = (
    Operation("start a workflow", "states:StartExecution", _of_type(WORKFLOW)),
    Operation("invoke the session function", "lambda:InvokeFunction", _session_functions),
    Operation("start a session", f"{AGENTCORE}:StartCodeInterpreterSession", _of_type(INTERPRETER)),
    Operation("run code in a session", f"{AGENTCORE}:InvokeCodeInterpreter", _of_type(INTERPRETER)),
    Operation("write inputs", "s3:PutObject", _data_buckets, _object(INPUTS, "a.csv")),
    Operation("read results", "s3:GetObject", _data_buckets, _object(RUNS, RUN, "files", "a.csv")),
    Operation("change results", "s3:PutObject", _data_buckets, _object(RUNS, RUN, "files", "a.csv")),
    Operation("change records", "s3:PutObject", _data_buckets, _object(RUNS, RUN, RECORD_NAME)),
    Operation("read logs", "logs:FilterLogEvents", _of_type(LOG_GROUP)),
    Operation("decrypt with the key itself", "kms:Decrypt", _data_keys, required=True),
    Operation("change the code of the function", "lambda:UpdateFunctionCode", _session_functions),
    Operation("change a workflow", "states:UpdateStateMachine", _of_type(WORKFLOW)),
    Operation("change a role of code", "iam:PutRolePolicy", _execution_roles),
    Operation("change the policy of the bucket", "s3:PutBucketPolicy", _data_buckets),
)
"""The operations, in the order of the columns."""
