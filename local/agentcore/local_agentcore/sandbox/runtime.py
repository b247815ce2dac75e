"""The Python of sandboxed code: a virtual environment of the host that also works at its path in a sandbox."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import SandboxUnavailableError
from ..libraries import can_install_into
from .layout import BASE_PYTHON, SESSION_ENVIRONMENT, VIRTUAL_ENVIRONMENT, is_shown_below_usr


@dataclass(frozen=True)
class Runtime:
    """A virtual environment for sandboxes.

    Attributes:
        directory: Path of the environment on the host.
        base: Path on the host of the Python installation that it was created from.
        guest_base: Path of that installation in a sandbox. A path that is visible below /usr is the same on the host.
        site_packages: Path of its libraries, relative to `directory`.
    """

    directory: Path
    base: Path
    guest_base: str
    site_packages: Path

    @classmethod
    def load(cls, directory: Path) -> Runtime:
        """Reads a virtual environment.

        Raises:
            SandboxUnavailableError: There is none, or its interpreter is a link, which would be broken in a sandbox.
        """
        directory = directory.resolve()
        # The remedy must not replace other files.
        creation = f"it with `local-agentcore install-libraries {shlex.quote(str(directory))}`"
        if not can_install_into(directory):
            creation = "one with `local-agentcore install-libraries` and omit --runtime"
        fix = f"Create {creation}, or select another with --runtime"
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
        guest_base = str(base) if is_shown_below_usr(base) else BASE_PYTHON
        return cls(directory, base, guest_base, site_packages.relative_to(directory))

    @property
    def needs_base(self) -> bool:
        """Whether the base installation has to be mounted, because it is not visible below /usr."""
        return self.guest_base == BASE_PYTHON

    def guest_pyvenv_cfg(self) -> str:
        """Returns the pyvenv.cfg of both environments in a sandbox."""
        return f"home = {self.guest_base}/bin\ninclude-system-site-packages = false\n"

    @property
    def guest_python(self) -> str:
        """The path of the interpreter in a sandbox."""
        return f"{SESSION_ENVIRONMENT}/bin/python"

    def guest_libraries_pth(self) -> str:
        """Returns a .pth file that adds these libraries to the session's environment, after its own packages."""
        return f"import site; site.addsitedir({f'{VIRTUAL_ENVIRONMENT}/{self.site_packages}'!r})\n"

    @property
    def guest_links(self) -> dict[str, str]:
        """The initial links of the session's environment, as `venv` creates them: target by path."""
        names = ("python", "python3", self.site_packages.parts[1])
        return {f"bin/{name}": f"{VIRTUAL_ENVIRONMENT}/bin/python" for name in names} | {"lib64": "lib"}
