"""Finds the reason why sandboxes do not start on a machine, and the remedy."""

from __future__ import annotations

import sys
from pathlib import Path

from ..errors import SandboxUnavailableError

ROOT_DIRECTORY = Path("/")
CONTAINER_MARKERS = (".dockerenv", "run/.containerenv")
"""Files that Docker and Podman create in the root directory of a container."""
REFUSAL_MESSAGES = ("unshare", "mount", "uid map", "uid_map", "Operation not permitted", "Permission denied")
"""Parts of messages of the launcher or bubblewrap if namespaces are refused."""
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
"""Kernel settings: path, value that prevents sandboxes, reason and remedy."""

CONTAINER_OPTIONS = (
    "--cap-add SYS_ADMIN --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
    "--security-opt systempaths=unconfined --device /dev/net/tun"
)
"""Docker's default filter refuses mounts and namespaces, and its masks over /proc prevent a new mount of /proc."""
DEV_CONTAINER = "Sandpiper's repository has a dev container (.devcontainer) with these options"
CONTAINER_FIX = f"A container needs `{CONTAINER_OPTIONS}` (docker run). {DEV_CONTAINER}"
NOT_LINUX_FIX = f"Run it on Linux, in a virtual machine or a container. {DEV_CONTAINER}"

APPARMOR_PROFILE = """\
# Allows user namespaces to the Python of the AgentCore emulator and to bubblewrap, which isolate code.
# AppArmor identifies programs by path, so all programs that this Python runs may create user namespaces.
abi <abi/4.0>,
include <tunables/global>

profile local-agentcore-python {python} flags=(unconfined) {{
  userns,
}}

profile local-agentcore-bwrap {bubblewrap} flags=(unconfined) {{
  userns,
}}
"""
"""For Ubuntu 23.10 and later (`apparmor.d(5)`, userns rules). Not yet tested on such a machine."""


def require_linux() -> None:
    """Checks that the operating system is Linux.

    Raises:
        SandboxUnavailableError: It is another operating system.
    """
    if sys.platform != "linux":
        name = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
        raise SandboxUnavailableError(
            f"code is isolated by Linux namespaces, which {name} does not have", NOT_LINUX_FIX
        )


def apparmor_profile(python: str, bubblewrap: str) -> str:
    """Returns the text of an AppArmor profile for the emulator.

    Args:
        python: Path of the interpreter that runs the emulator. Links are resolved.
        bubblewrap: Path of bwrap. Links are resolved.
    """
    return APPARMOR_PROFILE.format(python=Path(python).resolve(), bubblewrap=Path(bubblewrap).resolve())


def explain_start_failure(
    diagnosis: str, bubblewrap_version: tuple[int, ...], system: Path = ROOT_DIRECTORY
) -> SandboxUnavailableError:
    """Returns the error for a sandbox that did not start.

    Args:
        diagnosis: Error output of the launcher, bubblewrap or the supervisor.
        bubblewrap_version: Version of the installed bubblewrap.
        system: Root directory of the machine.
    """
    if any(text in diagnosis for text in REFUSAL_MESSAGES):
        reason, fix = _find_cause(system)
        return SandboxUnavailableError(f"{reason} ({diagnosis})", fix)
    version = ".".join(str(part) for part in bubblewrap_version)
    last_line = diagnosis.strip().splitlines()[-1] if diagnosis.strip() else "it ended without a message"
    return SandboxUnavailableError(
        f"a sandbox does not start with bubblewrap {version}: {last_line}",
        "Recreate the environment for sandboxes with `local-agentcore install-libraries DIR`",
    )


def _find_cause(system: Path) -> tuple[str, str]:
    """Returns the reason and the remedy. A container cannot change kernel settings, so they are not checked there."""
    in_container = any((system / name).exists() for name in CONTAINER_MARKERS)
    for name, blocking_value, reason, fix in (NO_NAMESPACES, *(() if in_container else KERNEL_SETTINGS)):
        setting = system / name
        if setting.is_file() and setting.read_text().strip() == blocking_value:
            return reason, fix
    return "namespaces are refused here", CONTAINER_FIX
