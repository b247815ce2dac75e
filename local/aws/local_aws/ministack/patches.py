"""Patches of MiniStack's CloudFormation, S3 and Lambda, and its HTTP server.

Written for MiniStack 1.5.33.
"""

# MiniStack lies in an environment of its own, where this runs and the type checker does not look.
# pyright: reportMissingImports=false, reportUnknownVariableType=false, reportUnknownLambdaType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import os
import secrets
import signal
from typing import TYPE_CHECKING, Any, Protocol

import ministack.app
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config
from ministack.core import iam_actions
from ministack.core.lambda_runtime import execution_credentials
from ministack.services import cloudcontrol, lambda_svc, s3, sts
from ministack.services.cloudformation import changesets, engine, handlers, provisioners, stacks

from local_aws.ministack import kms_object_checks, roles
from local_aws.ministack.gateway import Gateway
from local_aws.ministack.signatures import early_refusal, refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.lambda_runtime.functions import Functions
    from local_aws.ministack.authorizer import Authorizer
    from local_aws.ministack.gateway import Answer, Request
    from local_aws.ministack.stub_resources import StubResource

_SESSION_KEY = secrets.token_bytes(32)


class ResourceType(Protocol):
    """A CloudFormation resource type that MiniStack does not have; `Tags` are a mapping.

    `create_only` are the properties whose change makes another resource.
    """

    create_only: tuple[str, ...]

    def create(self, logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        """Makes the resource; returns its physical id and attributes. Raises ValueError, whose text the stack shows."""
        ...

    def update(
        self, physical_id: str, before: dict[str, Any], after: dict[str, Any], stack_name: str
    ) -> tuple[str, dict[str, str]]:
        """Changes what can be changed; returns the same as `create`, and raises the same."""
        ...

    def delete(self, physical_id: str, properties: dict[str, Any]) -> None:
        """Ends the resource; one that is gone is no error."""
        ...


def add_resource_type(name: str, resource_type: ResourceType) -> None:
    """Makes CloudFormation accept `name`. Handlers run on the server's own thread: they must not call it over HTTP."""
    provisioners._RESOURCE_HANDLERS[name] = {
        "create": resource_type.create,
        "update": resource_type.update,
        "delete": resource_type.delete,
    }
    provisioners._REPLACING_PROPERTIES[name] = resource_type.create_only
    provisioners._STACK_TAG_PROPERTY[name] = ("Tags", "map")


def add_stub_resource(name: str, recorded: StubResource) -> None:
    """Makes CloudFormation accept `name`, and Cloud Control's API tell the properties of what was made."""
    place = {"account": roles.ACCOUNT, "region": roles.REGION}

    def keep(physical_id: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
        attributes = recorded.attributes_of(physical_id, place)
        cloudcontrol._resources[cloudcontrol._resource_key(name, physical_id)] = {
            "TypeName": name,
            "Identifier": physical_id,
            "Properties": json.dumps({**properties, **attributes}),
        }
        return physical_id, attributes

    def create(logical_id: str, properties: dict[str, Any], stack_name: str) -> tuple[str, dict[str, str]]:
        given = recorded.name_in(properties) or provisioners._physical_name(stack_name, logical_id)
        return keep(recorded.new_id(given), properties)

    def update(physical_id: str, _: Any, properties: dict[str, Any], __: str) -> tuple[str, dict[str, str]]:
        return keep(physical_id, properties)

    def delete(physical_id: str, _: Any) -> None:
        cloudcontrol._resources.pop(cloudcontrol._resource_key(name, physical_id), None)

    provisioners._RESOURCE_HANDLERS[name] = {"create": create, "update": update, "delete": delete}
    provisioners._REPLACING_PROPERTIES[name] = frozenset(recorded.create_only)


def use_exact_object_keys() -> None:
    """Makes IAM see the key of an object as S3 stores it: MiniStack drops empty parts, so `/a/b` passed for `a/b`."""
    original = iam_actions.extract_resource_arn

    def arn(service: str, method: str, path: str, *rest: Any) -> str:
        found = original(service, method, path, *rest)
        bucket, slash, key = path.lstrip("/").partition("/")
        of_path = f"arn:aws:s3:::{'/'.join(part for part in path.split('/') if part)}"
        return f"arn:aws:s3:::{bucket}{slash}{key}" if service == "s3" and key and found == of_path else found

    iam_actions.extract_resource_arn = arn


def copy_objects_as_asked() -> None:
    """Makes CopyObject heed If-None-Match and answer with the checksum that it is asked for, as S3 does."""
    original = s3._copy_object

    def copy(bucket: str, key: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        found = s3._ensure_bucket(bucket)
        if found and (refused := s3._check_put_preconditions(headers, found["objects"].get(key))):
            return refused
        algorithm = headers.get("x-amz-checksum-algorithm", "").upper()
        status, answered, body = original(bucket, key, headers)
        if status == 200 and algorithm:
            copied = s3._ensure_bucket(bucket)["objects"][key]
            checksum = s3._compute_s3_checksum(algorithm, s3._read_body(bucket, key, copied))
            copied["checksums"] = {algorithm: checksum}
            told = f"<Checksum{algorithm}>{checksum}</Checksum{algorithm}><ChecksumType>FULL_OBJECT</ChecksumType>"
            body = body.replace(b"</CopyObjectResult>", told.encode() + b"</CopyObjectResult>")
        return status, answered, body

    s3._copy_object = copy


def evaluate_joins_in_conditions() -> None:
    """Makes CloudFormation's conditions know Fn::Join, with which the CDK's bootstrap asks whom its roles trust.

    Without it every such condition holds, and those roles trust a principal without a name.
    """
    original = engine._evaluate_conditions

    def evaluate(template: dict[str, Any], params: dict[str, dict[str, Any]]) -> dict[str, bool]:
        return original({**template, "Conditions": _joined(template.get("Conditions", {}), params)}, params)

    for module in (engine, changesets, handlers, stacks):
        module._evaluate_conditions = evaluate


def _joined(value: Any, params: dict[str, dict[str, Any]]) -> Any:
    """A condition with its Fn::Join done, of texts and of parameters, where a list is a text with commas."""
    if isinstance(value, list):
        return [_joined(item, params) for item in value]
    if not isinstance(value, dict):
        return value
    if "Ref" in value:
        return params[value["Ref"]]["Value"] if value["Ref"] in params else value
    if "Fn::Join" not in value:
        return {name: _joined(item, params) for name, item in value.items()}
    delimiter, items = _joined(value["Fn::Join"], params)
    return delimiter.join(items.split(",") if isinstance(items, str) else [str(item) for item in items])


def use_lambda_runtime(functions: Functions) -> None:
    """Runs Python functions by `functions` instead of MiniStack's own worker, which loses an exception's class."""

    def execute(function: dict[str, Any], event: object, request_id: str) -> dict[str, Any]:
        config = function.get("config") or function
        try:
            roles.assume("lambda.amazonaws.com", config["Role"], config["FunctionArn"])
        except roles.RoleError as error:
            message = f"The role defined for the function cannot be assumed by Lambda. {error}"
            return {"body": {"errorType": "AccessDeniedException", "errorMessage": message}, "log": "", "error": True}
        answer = functions.invoke(config, function["code_zip"], event, request_id, lambda: _credentials(config))
        return {"body": answer.body, "log": answer.log, **({"error": True} if answer.failed else {})}

    lambda_svc._execute_function_warm = execute


def _credentials(config: dict[str, Any]) -> dict[str, str]:
    """A session of the function's role, as MiniStack makes it, save for the secret: its own can be told from names."""
    made = execution_credentials(config)
    key = made["AWS_ACCESS_KEY_ID"]
    secret, token = (
        hmac.new(_SESSION_KEY, f"{part} {key}".encode(), hashlib.sha256).hexdigest() for part in ("secret", "token")
    )
    sts.register_session(key, {**sts._sessions[key], "SecretAccessKey": secret, "SessionToken": token})
    return {**made, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


def serve(port: int, authority: Authorizer, at_end: Callable[[], None]) -> None:
    """Serves MiniStack on loopback until SIGTERM; then calls `at_end`, and waits for no thread that is busy."""

    def early(request: Request) -> Answer | None:
        return authority.refusal(request) if authority.is_asked(request) else early_refusal(request)

    def answer(request: Request) -> Answer | None:
        kms_object_checks.current_request.set(request)
        return authority.answer(request) if authority.is_asked(request) else refusal(request)

    def end(*_: object) -> None:
        at_end()
        os._exit(0)

    async def never() -> None:
        await asyncio.Event().wait()

    signal.signal(signal.SIGTERM, end)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    gateway = Gateway(ministack.app.app, port, early, answer)
    asyncio.run(hypercorn_serve(gateway, config, shutdown_trigger=never))  # pyright: ignore[reportArgumentType] - ASGI
