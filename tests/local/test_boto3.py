"""Plain boto3 calls of the deployed interpreter, without Sandpiper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import boto3

from sandpiper.cdk_cli import PROJECT
from sandpiper.environment import load
from tests.support.target import ENVIRONMENT, TENANT

if TYPE_CHECKING:
    from tests.support.product import Product


def test_boto3_runs_code_on_the_deployed_interpreter(product: Product) -> None:
    interpreter = next(iter(product.deployment.interpreters.values()))
    client = boto3.client("bedrock-agentcore")
    session = client.start_code_interpreter_session(codeInterpreterIdentifier=interpreter)["sessionId"]
    identifiers = {"codeInterpreterIdentifier": interpreter, "sessionId": session}
    response = client.invoke_code_interpreter(
        **identifiers, name="executeCode", arguments={"language": "python", "code": "print(6 * 7)"}
    )
    (event,) = response["stream"]
    client.stop_code_interpreter_session(**identifiers)
    assert event.get("result", {}).get("structuredContent", {}).get("stdout") == "42"
    assert client.get_code_interpreter_session(**identifiers)["status"] == "TERMINATED"


def test_deployed_network_modes_match_the_environment_file(product: Product) -> None:
    control = boto3.client("bedrock-agentcore-control")
    modes = {
        key: control.get_code_interpreter(codeInterpreterId=identifier)["networkConfiguration"]["networkMode"]
        for key, identifier in product.deployment.interpreters.items()
    }
    environment = load(PROJECT / "environments" / f"{ENVIRONMENT}.yaml")
    assert modes == {key: option.network for key, option in environment.all_tenants[TENANT].interpreters.items()}
