"""JavaScript and TypeScript with Deno and Node: one process per call, the session's files, no host paths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from local_agentcore.process import client, running_emulator
from sandpiper_contract.aws import MANAGED_INTERPRETER
from tests.support.agentcore_sessions import tool_caller
from tests.support.project import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    Invoke = Callable[..., dict[str, Any]]

WORKING_DIRECTORY = "/opt/amazon/genesis1p-tools/var"
LANGUAGE_RUNTIMES = [(language, runtime) for language in ("javascript", "typescript") for runtime in ("deno", "nodejs")]


def run(invoke: Invoke, code: str, language: str, runtime: str | None = None) -> dict[str, Any]:
    """Runs code and returns the structured content of its result."""
    options = {} if runtime is None else {"runtime": runtime}
    content: dict[str, Any] = invoke("executeCode", code=code, language=language, **options)["structuredContent"]
    return content


@pytest.mark.parametrize(("language", "runtime"), LANGUAGE_RUNTIMES)
def test_result_has_the_same_format_as_for_python(invoke: Invoke, language: str, runtime: str) -> None:
    result = invoke("executeCode", code="console.log(' ', 6 * 7)", language=language, runtime=runtime)
    assert 0 < result["structuredContent"].pop("executionTime") < 60
    assert result == {
        "content": [{"type": "text", "text": "42"}],
        "structuredContent": {"stdout": "42", "stderr": "", "exitCode": 0},
        "isError": False,
    }


@pytest.mark.parametrize(("language", "runtime"), LANGUAGE_RUNTIMES)
def test_uncaught_error_is_on_stderr_after_the_output(invoke: Invoke, language: str, runtime: str) -> None:
    result = invoke("executeCode", code="console.log('a'); throw new Error('boo')", language=language, runtime=runtime)
    content = result["structuredContent"]
    assert (content["stdout"], content["exitCode"], result["isError"]) == ("a", 1, True)
    assert "Error: boo" in content["stderr"]
    assert "\x1b" not in content["stderr"]
    assert [block["text"] for block in result["content"]] == [content["stdout"], content["stderr"]]


@pytest.mark.parametrize("language", ["javascript", "typescript"])
def test_deno_is_the_default_runtime(invoke: Invoke, language: str) -> None:
    assert run(invoke, "console.log(Deno.version.deno.split('.')[0])", language)["stdout"] == "2"


def test_node_runs_javascript_as_commonjs_and_typescript_as_modules(invoke: Invoke) -> None:
    invoke(
        "writeFiles",
        content=[
            {"path": "old.cjs", "text": "module.exports = 4"},
            {"path": "new.ts", "text": "export const five: number = 5"},
        ],
    )
    javascript = "console.log(require('./old.cjs'), typeof module)"
    assert run(invoke, javascript, "javascript", "nodejs")["stdout"] == "4 object"
    typescript = "import { five } from './new.ts'\nenum Six { value = 6 }\nconsole.log(await five, Six.value)"
    content = run(invoke, typescript, "typescript", "nodejs")
    assert (content["stdout"], content["stderr"]) == ("5 6", "")
    assert run(invoke, typescript, "typescript", "deno")["stdout"] == "5 6"
    assert "require is not defined" in run(invoke, "require('fs')", "typescript", "nodejs")["stderr"]


@pytest.mark.parametrize(
    ("language", "runtime"),
    [("python", "deno"), ("python", "nodejs"), ("javascript", "python"), ("typescript", "python")],
)
def test_runtime_of_another_language_is_rejected(invoke: Invoke, language: str, runtime: str) -> None:
    with pytest.raises(ClientError) as error:
        run(invoke, "1", language, runtime)
    response: Any = error.value.response
    assert response["Error"]["Code"] == "ValidationException"
    assert [field["name"] for field in response["fieldList"]] == ["arguments.runtime"]


def test_all_runtimes_share_the_session_files(invoke: Invoke) -> None:
    before = invoke("listFiles", path="")
    for runtime, directory in (("deno", "Deno.cwd()"), ("nodejs", "process.cwd()")):
        for language in ("javascript", "typescript"):
            code = f"console.log({directory}, new Error().stack.includes({str(PROJECT)!r}))"
            assert run(invoke, code, language, runtime)["stdout"] == f"{WORKING_DIRECTORY} false"
    assert invoke("listFiles", path="") == before
    run(invoke, "Deno.writeTextFileSync('shared.txt', 'from deno')", "typescript")
    assert run(invoke, "print(open('shared.txt').read())", "python")["stdout"] == "from deno"
    node = "console.log(require('fs').readFileSync('shared.txt', 'utf8'))"
    assert run(invoke, node, "javascript", "nodejs")["stdout"] == "from deno"


def test_package_in_node_modules_is_imported(invoke: Invoke) -> None:
    invoke(
        "writeFiles",
        content=[
            {"path": "node_modules/seven/package.json", "text": '{"name": "seven", "main": "index.js"}'},
            {"path": "node_modules/seven/index.js", "text": "module.exports = 7"},
        ],
    )
    assert run(invoke, "console.log(require('seven'))", "javascript", "nodejs")["stdout"] == "7"
    assert run(invoke, "import seven from 'seven'; console.log(seven)", "typescript", "nodejs")["stdout"] == "7"


def test_variables_are_lost_after_the_call_and_the_exit_code_is_returned(invoke: Invoke) -> None:
    run(invoke, "globalThis.kept = 1", "javascript")
    assert run(invoke, "console.log(typeof kept)", "javascript")["stdout"] == "undefined"
    for runtime, code in (("deno", "Deno.exit(5)"), ("nodejs", "process.exit(5)")):
        assert run(invoke, code, "javascript", runtime)["exitCode"] == 5


def test_remote_package_is_reported_as_unavailable(invoke: Invoke) -> None:
    content = run(invoke, "import 'npm:left-pad'", "javascript")
    assert (content["stdout"], content["exitCode"]) == ("", 1)
    assert "left-pad" in content["stderr"]


@pytest.fixture(scope="module")
def limited_client(agentcore_runtime: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Any]:
    """Starts an emulator with low limits and without control groups, and returns its client."""
    options = ("--memory-by", "watchdog", "--memory-mib", "256", "--output-mib", "1", "--call-seconds", "4")
    with running_emulator(agentcore_runtime, tmp_path_factory.mktemp("limited"), *options) as emulator:
        yield client("bedrock-agentcore", emulator.address, "us-east-1")


@pytest.mark.parametrize("runtime", ["deno", "nodejs"])
def test_memory_output_and_time_are_limited_and_the_session_continues(limited_client: Any, runtime: str) -> None:
    session = limited_client.start_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER)["sessionId"]
    invoke = tool_caller(limited_client, session)
    for code, expected in (
        ("const hoard = []; while (true) hoard.push(new Uint8Array(1 << 24).fill(1))", "memory limit of 256 MiB"),
        ("console.log('x'.repeat(2 << 20))", "output limit of 1 MiB"),
        ("console.log('begun'); setInterval(() => {}, 1000);", "time limit of 4 s"),
    ):
        content = run(invoke, code, "javascript", runtime)
        assert expected in content["stderr"], content["stderr"][-500:]
    assert content["stdout"] == "begun"
    assert run(invoke, "console.log(1)", "javascript", runtime)["stdout"] == "1"
    limited_client.stop_code_interpreter_session(codeInterpreterIdentifier=MANAGED_INTERPRETER, sessionId=session)
