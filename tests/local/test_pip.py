"""pip in a session: packages are available immediately, only in this session, and override shared versions."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from local_agentcore.process import client, running_emulator
from tests.support.agentcore_sessions import Session
from tests.support.wheels import wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

INDEX = "index.example.com"
PREINSTALLED = "six"
PIP = f"PIP_INDEX_URL=http://{INDEX}/simple/ PIP_TRUSTED_HOST={INDEX} PIP_DISABLE_PIP_VERSION_CHECK=1 "
"""Settings of pip for a private package index."""
WHEELS = dict(wheel(name, version) for name, version in [("tiny", "1.0"), ("tiny", "2.0"), (PREINSTALLED, "99.0")])


class _Index(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Serves a project's page or one of its files."""
        name = self.path.strip("/").rpartition("/")[2]
        links = "".join(f'<a href="/{file}">{file}</a>' for file in WHEELS if file.startswith(f"{name}-"))
        body = WHEELS.get(name, links.encode())
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/octet-stream" if name in WHEELS else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Logs nothing."""


@pytest.fixture(scope="module", params=["pool", "no pool"])
def public(
    request: pytest.FixtureRequest, agentcore_runtime: Path, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Any, str]]:
    """Starts an emulator whose only public host is an index. Returns its client and a PUBLIC interpreter."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        hosts = (f"--public-host={INDEX}:80=127.0.0.1:{server.server_port}", "--public-hosts-only")
        pool = ("--pool", "1" if request.param == "pool" else "0")
        with running_emulator(agentcore_runtime, tmp_path_factory.mktemp("agentcore"), *hosts, *pool) as emulator:
            control = client("bedrock-agentcore-control", emulator.address, "us-east-1")
            created = control.create_code_interpreter(name="public", networkConfiguration={"networkMode": "PUBLIC"})
            yield client("bedrock-agentcore", emulator.address, "us-east-1"), created["codeInterpreterId"]
        server.shutdown()
        thread.join()


@pytest.fixture
def sessions(public: tuple[Any, str]) -> Generator[Callable[[], Session]]:
    """Returns a function that starts sessions that reach the index. They are stopped after the test."""
    started: list[Session] = []

    def start() -> Session:
        started.append(Session(*public))
        return started[-1]

    yield start
    for session in started:
        session.stop()


def shell(session: Session, command: str) -> str:
    """Runs a command, asserts that it succeeds, and returns its output."""
    content = session.invoke("executeCommand", command=command)["structuredContent"]
    assert content["exitCode"] == 0, content
    return str(content["stdout"]).replace("\r\n", "\n").strip()


def listing(session: Session) -> list[str]:
    """Returns the names in the working directory."""
    return [block["name"] for block in session.invoke("listFiles", path="")["content"]]


IS_INSTALLED = "import importlib.util; print(importlib.util.find_spec('tiny') is not None)"


def test_installed_package_is_available_immediately_in_its_session_only(sessions: Callable[[], Session]) -> None:
    session, other = sessions(), sessions()
    fresh = listing(session)
    assert session.python("import tiny")["stderr"].endswith("No module named 'tiny'")
    assert "Successfully installed tiny-2.0" in shell(session, f"{PIP} pip install tiny")
    assert session.python("import tiny; print(tiny.__version__)")["stdout"] == "2.0"
    assert session.python("import tiny; print(tiny.__version__)", clearContext=True)["stdout"] == "2.0"
    uses = "python3 -c 'import tiny; print(tiny.__version__)'; python3 -I -c 'import tiny; tiny.main()'; tiny"
    assert shell(session, uses).split() == ["2.0", "2.0", "2.0"]
    assert listing(session) == fresh
    assert other.python(IS_INSTALLED)["stdout"] == "False"
    session.stop()
    for later in (sessions(), sessions()):
        assert later.python(IS_INSTALLED)["stdout"] == "False"
        assert "tiny" not in shell(later, "pip list")


RUN_PIP = "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pip', 'install', 'tiny==1.0'], check=True)"


@pytest.mark.parametrize("install", ["%pip install tiny==1.0", RUN_PIP], ids=["IPython magic", "subprocess"])
def test_a_cell_can_install_packages(sessions: Callable[[], Session], install: str) -> None:
    session = sessions()
    settings = {name: value for name, _, value in (setting.partition("=") for setting in PIP.split())}
    assert session.python(f"import os; os.environ.update({settings!r})")["exitCode"] == 0
    installed = session.python(install)
    assert installed["exitCode"] == 0, installed
    assert session.python("import tiny; tiny.main()")["stdout"] == "1.0"
    shell(session, f"{PIP} pip install --upgrade tiny")
    assert shell(session, "tiny") == "2.0"
    shell(session, "pip uninstall -y tiny")
    assert session.invoke("executeCommand", command="tiny")["structuredContent"]["exitCode"] == 127


def test_installed_version_overrides_the_shared_one(sessions: Callable[[], Session]) -> None:
    session, other = sessions(), sessions()
    version = f"import {PREINSTALLED}; print({PREINSTALLED}.__version__)"
    before = shell(session, f"python3 -c '{version}'")
    assert before != "99.0"
    shell(session, f"{PIP} pip install --upgrade {PREINSTALLED}")
    assert shell(session, f"python3 -c '{version}'") == "99.0"
    assert shell(other, f"python3 -c '{version}'") == before
    shell(session, f"pip uninstall -y {PREINSTALLED}")
    assert shell(session, f"python3 -c '{version}'") == before


def test_wheel_can_be_installed_without_a_network(agentcore: Any) -> None:
    session = Session(agentcore)
    name, data = wheel("tiny", "3.0")
    session.invoke("writeFiles", content=[{"path": name, "blob": data}])
    shell(session, f"mv {name} /tmp && pip install --no-index /tmp/{name}")
    assert session.python("import tiny; tiny.main()")["stdout"] == "3.0"
    session.stop()
