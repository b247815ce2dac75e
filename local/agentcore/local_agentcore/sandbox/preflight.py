"""Why a sandbox did not start, and what to do about it, from what it left on stderr."""

from __future__ import annotations

from pathlib import Path

from ..errors import SandboxUnavailableError

APPARMOR_SWITCH = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
DEBIAN_SWITCH = Path("/proc/sys/kernel/unprivileged_userns_clone")
NAMESPACES_SWITCH = Path("/proc/sys/user/max_user_namespaces")
SWITCHES = (
    (APPARMOR_SWITCH, "1", "AppArmor refuses user namespaces to programs without a profile",
     "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"),
    (DEBIAN_SWITCH, "0", "the kernel refuses user namespaces to ordinary users",
     "sudo sysctl kernel.unprivileged_userns_clone=1"),
    (NAMESPACES_SWITCH, "0", "the kernel allows no user namespaces", "sudo sysctl user.max_user_namespaces=10000"),
)  # fmt: skip
"""A kernel setting, the value that stands in the way, what it means and what to do."""

IN_A_CONTAINER = (
    "In a container, allow user namespaces and mounts: for Docker "
    "`--security-opt seccomp=unconfined --security-opt apparmor=unconfined --cap-add SYS_ADMIN`"
)


def explain(diagnosis: str, bubblewrap_version: tuple[int, ...]) -> SandboxUnavailableError:
    """Returns the error for a sandbox that did not start.

    Args:
        diagnosis: the last words of the stub, bubblewrap or the supervisor.
        bubblewrap_version: as installed.
    """
    for path, obstacle, reason, fix in SWITCHES:
        if path.is_file() and path.read_text().strip() == obstacle:
            return SandboxUnavailableError(f"{reason} ({diagnosis})", fix)
    if "Operation not permitted" in diagnosis or "unshare" in diagnosis or "mount" in diagnosis:
        return SandboxUnavailableError(f"namespaces are refused here ({diagnosis})", IN_A_CONTAINER)
    version = ".".join(str(part) for part in bubblewrap_version)
    last_line = diagnosis.strip().splitlines()[-1] if diagnosis.strip() else "it ended without a word"
    return SandboxUnavailableError(
        f"a sandbox does not start with bubblewrap {version}: {last_line}",
        "Check the environment for sandboxes with `local/runtimes/sandbox/install`",
    )
