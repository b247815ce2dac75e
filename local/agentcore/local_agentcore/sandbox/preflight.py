"""Why sandboxes do not start on a machine, and what to do about it."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import SandboxUnavailableError

ROOT_DIRECTORY = Path("/")
CONTAINER_MARKERS = (".dockerenv", "run/.containerenv")
"""What Docker and Podman put into a container's root."""
REFUSAL_MESSAGES = ("unshare", "mount", "uid map", "uid_map", "Operation not permitted", "Permission denied")
"""What the stub or bubblewrap says when namespaces are refused."""
INSTALL_PROFILE = (
    "Install the profile that allows them to the emulator: `local-agentcore apparmor-profile | sudo tee "
    "/etc/apparmor.d/local-agentcore` and `sudo apparmor_parser --replace /etc/apparmor.d/local-agentcore`"
)
NO_NAMESPACES = (
    "proc/sys/user/max_user_namespaces", "0",
    "the kernel allows no user namespaces", "sudo sysctl user.max_user_namespaces=10000",
)  # fmt: skip
KERNEL_SETTINGS = (
    ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1",
     "AppArmor refuses user namespaces to ordinary users' programs without a profile", INSTALL_PROFILE),
    ("proc/sys/kernel/unprivileged_userns_clone", "0",
     "the kernel refuses user namespaces to ordinary users", "sudo sysctl kernel.unprivileged_userns_clone=1"),
)  # fmt: skip
"""A kernel setting, the value that stands in the way, what it means and what to do."""

CONTAINER_OPTIONS = (
    "--cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined --device /dev/net/tun"
)
"""Docker's own filter refuses mounts and namespaces; its covers over parts of /proc keep a sandbox from having one."""
DEV_CONTAINER = "Sandpiper's repository has a dev container (.devcontainer) that is set up for it"
CONTAINER_FIX = f"A container needs `{CONTAINER_OPTIONS}` (docker run). {DEV_CONTAINER}"
NOT_LINUX_FIX = f"Run it on Linux, in a virtual machine or a container. {DEV_CONTAINER}"

APPARMOR_PROFILE = """\
# Lets the emulator of AgentCore isolate code: user namespaces for its Python, which makes them, and for bubblewrap.
# AppArmor knows programs by their path, so whatever else runs on this Python gets them, too.
abi <abi/4.0>,
include <tunables/global>

profile local-agentcore-python {python} flags=(unconfined) {{
  userns,
}}

profile local-agentcore-bwrap {bubblewrap} flags=(unconfined) {{
  userns,
}}
"""
"""As Ubuntu 23.10 and later understand it (`apparmor.d(5)`, userns rules). Not yet seen on such a machine."""


def require_linux() -> None:
    """Checks the one thing that nothing can stand in for.

    Raises:
        SandboxUnavailableError: this is another system.
    """
    if sys.platform != "linux":
        name = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        raise SandboxUnavailableError(
            f"code is isolated by Linux namespaces, which {name} does not have", NOT_LINUX_FIX
        )


def apparmor_profile(python: str, bubblewrap: str) -> str:
    """Returns the text of an AppArmor profile for the emulator.

    Args:
        python: the interpreter that runs the emulator; links are followed, as the kernel does.
        bubblewrap: bwrap's path.
    """
    return APPARMOR_PROFILE.format(python=Path(python).resolve(), bubblewrap=Path(bubblewrap).resolve())


def explain_start_failure(
    diagnosis: str, bubblewrap_version: tuple[int, ...], system: Path = ROOT_DIRECTORY
) -> SandboxUnavailableError:
    """Returns the error for a sandbox that did not start.

    Args:
        diagnosis: the last words of the stub, bubblewrap or the supervisor.
        bubblewrap_version: as installed.
        system: the root folder of the machine.
    """
    if any(words in diagnosis for words in REFUSAL_MESSAGES):
        reason, fix = _find_cause(system)
        return SandboxUnavailableError(f"{reason} ({diagnosis})", fix)
    version = ".".join(str(part) for part in bubblewrap_version)
    last_line = diagnosis.strip().splitlines()[-1] if diagnosis.strip() else "it ended without a word"
    return SandboxUnavailableError(
        f"a sandbox does not start with bubblewrap {version}: {last_line}",
        "Make the environment for sandboxes anew with `local-agentcore install-libraries DIR`",
    )


def _find_cause(system: Path) -> tuple[str, str]:
    """Returns the reason and the fix. The machine's switches are no remedy for somebody in a container."""
    in_container = any((system / name).exists() for name in CONTAINER_MARKERS)
    for name, obstacle, reason, fix in (NO_NAMESPACES, *(() if in_container else KERNEL_SETTINGS)):
        switch = system / name
        if switch.is_file() and switch.read_text().strip() == obstacle:
            return reason, fix
    return "namespaces are refused here", CONTAINER_FIX
