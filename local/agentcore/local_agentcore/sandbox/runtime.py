"""The Python that sandboxed code finds: a virtual environment of the host, made so that it works at another path."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxUnavailableError
from ..libraries import can_install_into
from .layout import BASE_PYTHON, SESSION_ENVIRONMENT, VIRTUAL_ENVIRONMENT


@dataclass(frozen=True)
class Runtime:
    """A virtual environment for sandboxes.

    Attributes:
        directory: the environment, on the host.
        base: the Python installation that it was made from, on the host.
        guest_base: where that installation is in a sandbox. One below /usr is there anyway.
        site_packages: the folder of its libraries, from the environment's own.
    """

    directory: Path
    base: Path
    guest_base: str
    site_packages: Path

    @classmethod
    def load(cls, directory: Path) -> Runtime:
        """Reads a virtual environment.

        Raises:
            SandboxUnavailableError: there is none, or its interpreter is a link, which would lead nowhere in a sandbox.
        """
        directory = directory.resolve()
        # Never a command that would have to replace what somebody else put there.
        make = f"it with `local-agentcore install-libraries {shlex.quote(str(directory))}`"
        if not can_install_into(directory):
            make = "one with `local-agentcore install-libraries` and leave --runtime out"
        fix = f"Make {make}, or name another with --runtime"
        configuration = directory / "pyvenv.cfg"
        python = directory / "bin" / "python"
        site_packages = next(directory.glob("lib/python3.*/site-packages"), None)
        if not configuration.is_file() or not python.is_file() or site_packages is None:
            raise SandboxUnavailableError(f"there is no Python environment for sandboxes at {directory}", fix)
        if python.is_symlink() and not python.resolve().is_relative_to(directory):
            raise SandboxUnavailableError(f"{python} is a link; the environment needs Python as a copy", fix)
        lines = (line.partition("=") for line in configuration.read_text().splitlines())
        settings = {name.strip(): value.strip() for name, _, value in lines}
        base = Path(settings["home"]).resolve().parent
        guest_base = str(base) if base.is_relative_to("/usr") else BASE_PYTHON
        return cls(directory, base, guest_base, site_packages.relative_to(directory))

    @property
    def needs_base(self) -> bool:
        """Whether the base installation has to be mounted besides /usr."""
        return self.guest_base == BASE_PYTHON

    def guest_pyvenv_cfg(self) -> str:
        """Returns the pyvenv.cfg that is true in a sandbox, of both environments."""
        return f"home = {self.guest_base}/bin\ninclude-system-site-packages = false\n"

    @property
    def guest_python(self) -> str:
        """Returns the interpreter's path in a sandbox."""
        return f"{SESSION_ENVIRONMENT}/bin/python"

    def guest_libraries_pth(self) -> str:
        """Returns what has Python in the session's environment see these libraries, behind its own: a .pth file."""
        return f"import site; site.addsitedir({f'{VIRTUAL_ENVIRONMENT}/{self.site_packages}'!r})\n"

    @property
    def guest_links(self) -> dict[str, str]:
        """Returns what else the session's environment begins with: links, by path in it, as `venv` makes them."""
        names = ("python", "python3", self.site_packages.parts[1])
        return {f"bin/{name}": f"{VIRTUAL_ENVIRONMENT}/bin/python" for name in names} | {"lib64": "lib"}
