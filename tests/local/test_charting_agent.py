"""The charting agent of the examples, with a scripted model. All other parts are real.

The agent has the role of its stack. The stack is deployed without the runtime, which the embedded AWS does not support.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import boto3
import pytest
import uvicorn
from moto.core.eventstream import EventStreamEncoder  # pyright: ignore[reportMissingTypeStubs]
from strands.models import Model

from charting_agent.conversation import answer
from charting_agent.python_tool import run_python
from charting_agent.server import bedrock, create_app
from charting_agent.settings import MANAGED_INTERPRETER, MissingSetting, Settings
from local_agentcore.admin_client import FaultInjector
from local_agentcore.faults import Rule
from tests.support.charting_agent import NAME, synthesize
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Generator

    from strands.types.content import Message, Messages
    from strands.types.streaming import StreamEvent

    from local_aws.running_instance import RunningInstance

QUESTION = """Analyze the following sales data:
- Product A: [100, 120, 95, 140, 160, 180, 200]
- Product B: [80, 85, 90, 95, 100, 105, 110]
- Product C: [200, 180, 220, 190, 240, 260, 280]
Please visualize the sales trends and calculate growth rates."""
SALES = """
import matplotlib.pyplot as plt
import pandas as pd
sales = pd.DataFrame({
    "A": [100, 120, 95, 140, 160, 180, 200],
    "B": [80, 85, 90, 95, 100, 105, 110],
    "C": [200, 180, 220, 190, 240, 260, 280],
})
sales.plot(marker="o", title="Sales trends")
plt.show()
print("Overall Growth Rates:")
for name in sales:
    print(f"Product {name}: {(sales[name].iloc[-1] / sales[name].iloc[0] - 1) * 100:.1f}%")
print("\\nPeriod-over-Period Growth Rates:")
for name in sales:
    print(f"\\nProduct {name}:")
    print([f"{growth * 100:.1f}%" for growth in sales[name].pct_change().dropna()])
"""
OUTPUT = """Overall Growth Rates:
Product A: 100.0%
Product B: 37.5%
Product C: 40.0%

Period-over-Period Growth Rates:

Product A:
['20.0%', '-20.8%', '47.4%', '14.3%', '12.5%', '11.1%']

Product B:
['6.2%', '5.9%', '5.6%', '5.3%', '5.0%', '4.8%']

Product C:
['-10.0%', '22.2%', '-13.6%', '26.3%', '8.3%', '7.7%']"""
ONE_FIGURE = "import matplotlib.pyplot as plt; plt.plot([1, 2]); print('drawn')"
LINK = re.compile(r"\*\*Figure (\d+)\*\*: \[View Graph]\((.*)\)\n └── Direct Link: (.*)")


class ScriptedModel(Model):
    """Calls execute_python with the scripted code of the prompt, and then replies with text from the result."""

    def __init__(self, code: dict[str, str], reply_template: str = "{stdout}{stderr}") -> None:
        """Fills in `reply_template` from the `structuredContent` of the tool's result."""
        self._code = code
        self._reply_template = reply_template
        self.read: list[dict[str, Any]] = []
        """The results that the model has received."""

    def update_config(self, **_: Any) -> None:
        """Implements Model."""

    def get_config(self) -> dict[str, Any]:
        """Implements Model."""
        return {}

    def structured_output(self, *_: Any, **__: Any) -> AsyncGenerator[Any, None]:
        """Implements Model."""
        raise NotImplementedError

    async def stream(self, messages: Messages, *_: Any, **__: Any) -> AsyncIterable[StreamEvent]:
        """Implements Model."""
        yield {"messageStart": {"role": "assistant"}}
        results = [result for message in messages for result in results_in(message)]
        if results:
            self.read += results
            for event in text(self._reply_template.format(**results[-1]["structuredContent"])):
                yield event
            yield {"messageStop": {"stopReason": "end_turn"}}
            return
        for event in text("Let me calculate that. "):
            yield event
        prompt = messages[0]["content"][0].get("text", "")
        arguments = json.dumps({"code": self._code[prompt], "description": "Sales\nand growth"})
        yield {"contentBlockStart": {"start": {"toolUse": {"name": "execute_python", "toolUseId": "one"}}}}
        yield {"contentBlockDelta": {"delta": {"toolUse": {"input": arguments}}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "tool_use"}}


def text(reply: str) -> list[StreamEvent]:
    return [
        {"contentBlockDelta": {"delta": {"text": reply}}},
        {"contentBlockStop": {}},
    ]


def results_in(message: Message) -> list[dict[str, Any]]:
    tool_results = [block["toolResult"] for block in message["content"] if "toolResult" in block]
    return [json.loads(block.get("text", "")) for result in tool_results for block in result["content"]]


@dataclass(frozen=True)
class DeployedAgent:
    """The deployed agent. `admin` is the session of an administrator."""

    settings: Settings
    role: str
    admin: boto3.Session

    def ask(self, model: Model, prompt: str = QUESTION) -> str:
        return asyncio.run(answer(self.settings, model, prompt))

    def live_sessions(self) -> list[Any]:
        response = self.admin.client("bedrock-agentcore").list_code_interpreter_sessions(
            codeInterpreterIdentifier=self.settings.interpreter_id, status="READY"
        )
        return list(response["items"])


@pytest.fixture(scope="module")
def deployed_agent(aws: RunningInstance | None, tmp_path_factory: pytest.TempPathFactory) -> DeployedAgent:
    """Deploys the agent's stack without the runtime. The settings are the runtime's environment variables."""
    if aws is None:
        pytest.fail("these tests revoke permissions of the agent; allowed: the embedded AWS only")
    template = synthesize(tmp_path_factory.mktemp("agent"))[NAME].content
    (runtime,) = (name for name, each in template["Resources"].items() if each["Type"].endswith("::Runtime"))
    properties = template["Resources"].pop(runtime)["Properties"]
    variables: dict[str, Any] = properties["EnvironmentVariables"] | {"ROLE": properties["RoleArn"]}
    names = {name.replace("_", ""): name for name in variables}
    template["Outputs"] = {short: {"Value": variables[name]} for short, name in names.items()}
    del template["Parameters"], template["Rules"]  # these refer to `cdk bootstrap`, which the test does not need
    credentials = boto3.Session().get_credentials()
    assert credentials is not None
    admin = boto3.Session(credentials.access_key, credentials.secret_key, region_name=aws.region)
    cloudformation = admin.client("cloudformation")
    body = json.dumps(template)
    cloudformation.create_stack(StackName=NAME, TemplateBody=body, Capabilities=["CAPABILITY_IAM"])
    cloudformation.get_waiter("stack_create_complete").wait(StackName=NAME, WaiterConfig={"Delay": 1})
    (stack,) = cloudformation.describe_stacks(StackName=NAME)["Stacks"]
    outputs = {names[each.get("OutputKey", "")]: each.get("OutputValue", "") for each in stack.get("Outputs", [])}
    role = outputs.pop("ROLE")
    trust = {"Effect": "Allow", "Principal": {"AWS": aws.account}, "Action": "sts:AssumeRole"}
    admin.client("iam").update_assume_role_policy(RoleName=role.rpartition("/")[2], PolicyDocument=document(trust))
    return DeployedAgent(Settings.from_environment(outputs), role, admin)


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture
def agent(deployed_agent: DeployedAgent, monkeypatch: pytest.MonkeyPatch) -> Generator[DeployedAgent]:
    """Runs the test with the agent's role and checks that all sessions were stopped."""
    response = deployed_agent.admin.client("sts").assume_role(RoleArn=deployed_agent.role, RoleSessionName="test")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", response["Credentials"]["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", response["Credentials"]["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", response["Credentials"]["SessionToken"])
    yield deployed_agent
    assert deployed_agent.live_sessions() == []


@pytest.fixture
def no_write_access(deployed_agent: DeployedAgent) -> Generator[None]:
    """Denies the role to write to S3."""
    iam, name = deployed_agent.admin.client("iam"), deployed_agent.role.rpartition("/")[2]
    denial = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    iam.put_role_policy(RoleName=name, PolicyName="no-write-access", PolicyDocument=document(denial))
    yield
    iam.delete_role_policy(RoleName=name, PolicyName="no-write-access")


def links_in(reply: str) -> list[tuple[int, str]]:
    """Returns the figures and links at the end of an answer. Asserts that each link occurs twice and is complete."""
    matches: list[tuple[str, str, str]] = LINK.findall(reply)
    assert all(link == direct for _, link, direct in matches)
    return [(int(figure), link) for figure, link, _ in matches]


def download(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:  # noqa: S310 - a URL of the embedded AWS
        assert response.headers["Content-Type"] == "image/png"
        return response.read()


def size_of(png: bytes) -> tuple[int, int]:
    """Returns width and height in pixels. Fails if the data is not a PNG image."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert png[12:16] == b"IHDR"
    assert png[-8:-4] == b"IEND"
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


@contextmanager
def served(settings: Settings, model: Model) -> Generator[str]:
    """Serves the application on a loopback port."""
    config = uvicorn.Config(create_app(settings, model), host="127.0.0.1", port=0, log_level="warning")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def bedrock_of(model: ScriptedModel) -> Generator[tuple[str, list[str]]]:
    """Serves Bedrock's ConverseStream on a loopback port with a scripted model, and records the requested paths."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            paths.append(unquote(self.path))
            request_body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert [each["toolSpec"]["name"] for each in request_body["toolConfig"]["tools"]] == ["execute_python"]

            async def frames() -> bytes:
                events = [event async for event in model.stream(request_body["messages"])]
                return b"".join(frame(name, body) for event in events for name, body in event.items())

            self.send_response(200)
            self.send_header("Content-Type", "application/vnd.amazon.eventstream")
            self.end_headers()
            self.wfile.write(asyncio.run(frames()))

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
            """Suppresses the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", paths
        finally:
            server.shutdown()


def frame(name: str, body: Any) -> bytes:
    """Returns an event in Bedrock's format."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    payload = json.dumps({"contentBlockIndex": 0, **body} if name.startswith("contentBlock") else body)
    encoded: bytes = EventStreamEncoder().encode_message(headers, payload.encode())
    return encoded


def invoke(url: str, payload: object) -> Any:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    request = urllib.request.Request(f"{url}/invocations", data, {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request) as response:  # noqa: S310 - a loopback URL
        assert response.headers["Content-Type"] == "application/json"
        return json.load(response)


def test_the_sales_question_returns_the_growth_and_a_link_to_the_chart(agent: DeployedAgent) -> None:
    reply = agent.ask(ScriptedModel({QUESTION: SALES}))
    assert reply.startswith(f"Let me calculate that. {OUTPUT}\n\n **Generated Visualizations (S3 URLs - Valid for")
    ((figure, link),) = links_in(reply)
    assert figure == 1
    assert parse_qs(urlsplit(link).query)["X-Amz-Expires"] == ["3600"]
    width, height = size_of(download(link))
    assert width > 300
    assert height > 200


def test_the_sales_question_is_answered_over_http(agent: DeployedAgent) -> None:
    with served(agent.settings, ScriptedModel({QUESTION: SALES})) as url:
        reply = invoke(url, {"prompt": QUESTION})
        with urllib.request.urlopen(f"{url}/ping") as pong:  # noqa: S310 - a loopback URL
            assert json.load(pong)["status"] == "Healthy"
    assert OUTPUT in reply
    ((_, link),) = links_in(reply)
    size_of(download(link))


def test_the_sales_question_is_answered_with_the_bedrock_client(
    agent: DeployedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bedrock_of(ScriptedModel({QUESTION: SALES})) as (url, paths):
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", url)
        reply = agent.ask(bedrock(agent.settings))
    assert paths == [f"/model/{agent.settings.model_id}/converse-stream"] * 2
    assert OUTPUT in reply
    ((_, link),) = links_in(reply)
    size_of(download(link))


@pytest.mark.parametrize("payload", [{}, [], "a", {"prompt": ""}, {"prompt": 1}, b"{"], ids=str)
def test_an_invalid_payload_is_rejected_with_a_message(agent: DeployedAgent, payload: object) -> None:
    with served(agent.settings, ScriptedModel({})) as url, pytest.raises(urllib.error.HTTPError) as error:
        invoke(url, payload)
    with error.value as response:
        reply = json.load(response)
    assert response.code == 400
    if payload != b"{":
        assert reply == {"error": 'the payload has no prompt; allowed: {"prompt": "a question"}'}


def test_links_are_complete_if_the_model_truncates_them(agent: DeployedAgent) -> None:
    model = ScriptedModel({QUESTION: ONE_FIGURE}, reply_template="See {image_urls[0][url]:.40}")
    reply = agent.ask(model)
    url = model.read[0]["structuredContent"]["image_urls"][0]["url"]
    assert f"See {url[:40]}\n\n" in reply
    ((_, link),) = links_in(reply)
    assert link == url
    size_of(download(link))


def test_the_result_has_every_key(agent: DeployedAgent) -> None:
    result = run_python(agent.settings, ONE_FIGURE, "A line")
    output, debug = result["structuredContent"], result["debug_info"]
    (image,) = output.pop("image_urls")
    assert image.keys() == {"figure", "url", "s3_key"}
    assert image["figure"] == 1
    assert image["s3_key"].startswith("agent-outputs/")
    stored = boto3.client("s3").get_object(Bucket=str(agent.settings.bucket), Key=image["s3_key"])
    assert stored["ContentType"] == "image/png"
    assert stored["Body"].read() == download(image["url"])
    assert output.pop("executionTime") > 0
    assert output == {"stdout": "drawn", "stderr": "", "exitCode": 0}
    assert result["content"] == [{"type": "text", "text": "drawn"}]
    assert result["isError"] is False
    program = f"# A line\n{ONE_FIGURE}"
    assert debug.pop("code_size") > len(program)
    assert debug.pop("img_code_preview").endswith(program)
    assert debug == {
        "original_code_size": len(program),
        "stdout_length": 5,
        "img_marker_found": True,
        "stdout_tail": "drawn",
        "images_found": 1,
        "s3_available": True,
        "s3_upload_success": True,
        "uploaded_count": 1,
        "s3_bucket": agent.settings.bucket,
    }


def test_code_without_a_figure_has_no_image_fields(agent: DeployedAgent) -> None:
    result = run_python(agent.settings, "print('no figure')")
    assert result["structuredContent"].keys() == {"stdout", "stderr", "exitCode", "executionTime"}
    assert (result["debug_info"]["images_found"], result["debug_info"]["img_marker_found"]) == (0, False)
    reply = agent.ask(ScriptedModel({QUESTION: "print('no figure')"}))
    assert reply == "Let me calculate that. no figure"


def test_code_without_output_has_one_empty_text(agent: DeployedAgent) -> None:
    result = run_python(agent.settings, "x = 1")
    assert result["content"] == [{"type": "text", "text": ""}]


def test_every_figure_has_a_link(agent: DeployedAgent) -> None:
    code = "import matplotlib.pyplot as plt\nfor n in (3, 1, 12): plt.figure(n, figsize=(n, 1), dpi=100)"
    links = links_in(agent.ask(ScriptedModel({QUESTION: code})))
    assert sorted((figure, size_of(download(link))) for figure, link in links) == [
        (number, (number * 100, 100)) for number in (1, 3, 12)
    ]


@pytest.mark.usefixtures("no_write_access")
def test_a_figure_that_s3_does_not_store_is_returned_as_base64(agent: DeployedAgent) -> None:
    result = run_python(agent.settings, ONE_FIGURE)
    output, debug = result["structuredContent"], result["debug_info"]
    (image,) = output["images"]
    assert image["i"] == 1
    size_of(base64.b64decode(image["d"], validate=True))
    assert "image_urls" not in output
    assert (debug["s3_available"], debug["s3_upload_success"], debug["uploaded_count"]) == (True, False, 0)
    assert debug["s3_fallback_message"] == debug["fallback_reason"] == "S3 upload failed, using base64 fallback"
    assert "AccessDenied" in debug["s3_upload_error_fig1"]


def test_without_a_bucket_a_figure_is_returned_as_base64_but_not_sent_to_the_model(agent: DeployedAgent) -> None:
    debug = run_python(replace(agent.settings, bucket=None), ONE_FIGURE)["debug_info"]
    assert (debug["s3_available"], debug["fallback_reason"]) == (False, "no bucket is configured")
    model = ScriptedModel({QUESTION: ONE_FIGURE})
    reply = asyncio.run(answer(replace(agent.settings, bucket=None), model, QUESTION))
    (data,) = re.findall(r"\*\*Figure 1\*\*: data:image/png;base64,(.+)$", reply, re.MULTILINE)
    size_of(base64.b64decode(data, validate=True))
    assert model.read[0]["structuredContent"]["images"] == [{"i": 1, "d": "(appended to the answer)"}]
    assert data not in json.dumps(model.read)


def test_failing_code_is_an_error_for_the_model_and_its_figures_are_saved(agent: DeployedAgent) -> None:
    model = ScriptedModel({QUESTION: f"{ONE_FIGURE}\n1 / 0"})
    reply = agent.ask(model)
    (result,) = model.read
    assert result["isError"] is True
    assert result["structuredContent"]["exitCode"] == 1
    assert result["structuredContent"]["stdout"] == "drawn"
    assert "ZeroDivisionError: division by zero" in result["structuredContent"]["stderr"]
    assert [block["text"] for block in result["content"]] == ["drawn", result["structuredContent"]["stderr"]]
    ((_, link),) = links_in(reply)
    size_of(download(link))


def test_denied_access_to_the_interpreter_is_an_error_for_the_model(agent: DeployedAgent) -> None:
    result = run_python(replace(agent.settings, interpreter_id=MANAGED_INTERPRETER), "print(1)")
    assert result["isError"] is True
    assert result["structuredContent"]["exitCode"] == 1
    assert result["structuredContent"]["stderr"].startswith("Error executing code: starting a session on ")
    debug = result["debug_info"]
    assert debug.keys() == {"error_type", "error_message", "code_size"}
    assert debug["error_type"] == "AccessDenied"


def test_a_lost_response_is_an_error_and_the_session_is_stopped(agent: DeployedAgent, aws: RunningInstance) -> None:
    faults = FaultInjector(aws.agentcore_url)
    faults.inject(Rule("disconnect", "executeCode", at="unanswered", calls=(2,)))  # the first prepares for figures
    try:
        result = run_python(agent.settings, "print(1)")
    finally:
        faults.clear()
    assert (result["isError"], result["debug_info"]["error_type"]) == (True, "SessionLost")


def test_concurrent_prompts_share_no_state(agent: DeployedAgent) -> None:
    draw = "import matplotlib.pyplot as plt; plt.figure(figsize=({n}, 1), dpi=100); print('prompt {n}')"
    prompts = {f"prompt {n}": draw.format(n=n) for n in (2, 3, 4, 5)}
    payloads = [{"prompt": prompt} for prompt in prompts]
    with served(agent.settings, ScriptedModel(prompts)) as url, ThreadPoolExecutor(len(prompts)) as executor:
        answers = executor.map(partial(invoke, url), payloads)
    for prompt, reply in zip(prompts, answers, strict=True):
        assert reply.startswith(f"Let me calculate that. {prompt}\n")
        ((_, link),) = links_in(reply)
        assert size_of(download(link)) == (int(prompt[-1]) * 100, 100)


def test_a_start_without_a_model_reports_the_missing_variable() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "MODEL_ID"}
    main = PROJECT / "examples" / "charting_agent" / "main.py"
    completed = subprocess.run([sys.executable, main], env=environment, capture_output=True, text=True, timeout=60)
    assert completed.returncode == 2
    assert completed.stderr == "MODEL_ID is not set; allowed: a model or an inference profile of Amazon Bedrock\n"


def test_settings_are_read_from_the_environment_and_a_missing_one_is_reported() -> None:
    with pytest.raises(MissingSetting, match="MODEL_ID is not set; allowed: "):
        Settings.from_environment({"S3_BUCKET": "b"})
    assert Settings.from_environment({"MODEL_ID": "m", "S3_BUCKET": ""}) == Settings("m")
    assert Settings.from_environment(
        {"MODEL_ID": "m", "S3_BUCKET": "b", "S3_FOLDER": "f", "CODE_INTERPRETER_ID": "i"}
    ) == Settings("m", "i", "b", "f")
