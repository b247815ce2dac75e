"""The process of a kernel: it runs cells in an IPython shell, after a fork from the supervisor.

Code sees what it sees in a notebook or a script: its own arguments, streams and event loop, and none of the
supervisor's objects.
"""

from __future__ import annotations

import bdb
import ctypes
import gc
import importlib
import io
import os
import signal
import socket
import struct
import sys
import traceback
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from . import event_loop
from .displays import Displays, capture_displays, select_inline_backend
from .processes import lower_priority

if TYPE_CHECKING:
    from types import FrameType
    from typing import TextIO

INT32 = struct.Struct("!i")
READY = 0
CONTROL_DESCRIPTOR = 3
KERNEL_SETUP_FAILED = 70  # EX_SOFTWARE in sysexits.h
SET_DUMPABLE = 4  # prctl(2)
SET_NAME = 15  # prctl(2)
KERNEL_NAME = b"ipykernel"  # as in the command line of the service's kernel, which commands find to interrupt it
SCRIPT_NAME = "ipykernel_launcher.py"
"""`sys.argv[0]`, as in a notebook. A relative path, so that its folder is the working directory, as for a script."""
DISPLAYS = Displays()


@dataclass(frozen=True)
class KernelDescriptors:
    """The descriptors that connect a kernel to the supervisor: a socket, and the write ends of two pipes."""

    control: int
    stdout: int
    stderr: int


def make_shell() -> None:
    """Creates the shell that all kernels copy by a fork. Garbage collection starts here, without writing to its pages.

    Runs a cell, so that the memory of the first cell is shared as well: 5 of a session's 25 MiB. Removes directories
    that code can write from the import path of process 1.
    """
    _shell().run_cell("pass", silent=True)
    _import_path()
    sys.path[:] = [directory for directory in sys.path if not Path(directory).is_relative_to(sys.prefix)]
    gc.freeze()
    gc.enable()


def become_kernel(descriptors: KernelDescriptors) -> NoReturn:
    """Turns a fork of the supervisor into a kernel. Closes all descriptors of the supervisor."""
    try:
        signal.signal(signal.SIGINT, _ignore)
        os.setsid()
        stdin = os.open(os.devnull, os.O_RDONLY)
        for target, source in enumerate((stdin, descriptors.stdout, descriptors.stderr)):
            os.dup2(source, target)
        os.dup2(descriptors.control, CONTROL_DESCRIPTOR, inheritable=False)
        os.closerange(CONTROL_DESCRIPTOR + 1, 1 << 16)
        # Code may read its own entries in /proc. Only those of the supervisor are inaccessible.
        ctypes.CDLL(None).prctl(SET_DUMPABLE, 1, 0, 0, 0)
        ctypes.CDLL(None).prctl(SET_NAME, KERNEL_NAME, 0, 0, 0)
        lower_priority()
        _serve(socket.socket(fileno=CONTROL_DESCRIPTOR))
    finally:
        os._exit(KERNEL_SETUP_FAILED)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Ignores an interrupt between two cells."""


def _serve(control: socket.socket) -> NoReturn:
    stdout, stderr = _text_stream(1, "<stdout>"), _text_stream(2, "<stderr>")
    tracebacks = _text_stream(2, "<tracebacks>")  # a separate object, which code cannot close
    _set_up_interpreter(stdout, stderr)
    select_inline_backend()
    shell, kernel, flush_c_streams = _shell(), os.getpid(), ctypes.CDLL(None).fflush
    shell.loop_runner = event_loop.run
    _show_tracebacks(shell, tracebacks)
    control.sendall(INT32.pack(READY))
    while True:
        size = control.recv(INT32.size, socket.MSG_WAITALL)
        if len(size) < INT32.size:
            os._exit(0)
        code = control.recv(INT32.unpack(size)[0], socket.MSG_WAITALL).decode("utf-8", "surrogatepass")
        event_loop.ensure_current()
        _forget_listed_files()
        _replace_unusable_streams()
        succeeded = _run_cell(shell, code, tracebacks)
        for stream in (stdout, stderr, sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__, tracebacks):
            _flush(stream)
        flush_c_streams(None)
        if os.getpid() != kernel:
            os._exit(int(not succeeded))  # a fork of the code returned here; only the kernel responds
        displays = DISPLAYS.drain()
        control.sendall(INT32.pack(int(not succeeded)) + INT32.pack(len(displays)) + displays)


def _set_up_interpreter(stdout: TextIO, stderr: TextIO) -> None:
    """Replaces the supervisor's streams, arguments, import path and modules by those of a notebook."""
    sys.stdin = sys.__stdin__ = io.TextIOWrapper(_open(0, "rb", "<stdin>"), "utf-8", "surrogateescape")
    sys.stdout = sys.__stdout__ = stdout
    sys.stderr = sys.__stderr__ = stderr
    sys.argv = [SCRIPT_NAME]
    sys.orig_argv = [sys.executable, SCRIPT_NAME]
    sys.path[:] = ["", *_import_path()]  # the working directory first, as in a notebook
    package = str(__package__)
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]  # code may have modules of the same name


def _forget_listed_files() -> None:
    """Makes modules importable that were written since the last cell.

    The import system lists a directory again only if its modification time has changed. The clock of a file system
    advances every few ms.
    """
    libraries = tuple(_import_path())
    for directory, finder in sys.path_importer_cache.items():
        invalidate = getattr(finder, "invalidate_caches", None)
        if invalidate is not None and not directory.startswith(libraries):
            invalidate()


def _replace_unusable_streams() -> None:
    """Replaces standard streams that an earlier cell closed or removed. Others that it assigned remain."""
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        for attribute in (name, f"__{name}__"):
            if getattr(getattr(sys, attribute), "closed", True):
                setattr(sys, attribute, _text_stream(descriptor, f"<{name}>"))


def _run_cell(shell: Any, code: str, tracebacks: TextIO) -> bool:
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        result = shell.run_cell(code, store_history=True)
        if isinstance(result.error_in_exec, bdb.BdbQuit):  # IPython shows no message
            _write(tracebacks, "bdb.BdbQuit: the debugger has no input\n")
        return bool(result.success)
    except KeyboardInterrupt:
        _write(tracebacks, "KeyboardInterrupt\n")
        return False
    except Exception:  # an error of IPython, for example after code replaced sys.stderr
        _write(tracebacks, traceback.format_exc())
        return False
    finally:
        signal.signal(signal.SIGINT, _ignore)


def _show_tracebacks(shell: Any, tracebacks: TextIO) -> None:
    """Writes tracebacks to the kernel's stderr, as in the service, even if code replaced sys.stderr."""

    def show(_kind: object, _error: object, lines: list[str]) -> None:
        _write(tracebacks, shell.InteractiveTB.stb2text(lines) + "\n")

    shell._showtraceback = show


def _write(stream: TextIO, text: str) -> None:
    _flush(sys.stderr)  # earlier output first
    with suppress(OSError):  # code closed the descriptor
        stream.write(text)


def _flush(stream: Any) -> None:
    with suppress(BaseException):  # code closed or replaced the stream
        stream.flush()


def _text_stream(descriptor: int, name: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(_open(descriptor, "wb", name), "utf-8", "backslashreplace", line_buffering=True)


def _open(descriptor: int, mode: str, name: str) -> Any:
    """Opens a descriptor as long as the process runs, under a name that Python gives to standard streams."""
    stream: Any = open(descriptor, mode, closefd=False)  # noqa: SIM115
    stream.raw.name = name
    return stream


def _enable_no_gui(_name: str | None = None) -> None:
    """Enables no GUI event loop. `%matplotlib inline` needs none."""


def _keep_no_output(channel: str) -> nullcontext[None]:  # noqa: ARG001  IPython passes it by name
    """Replaces IPython's copy of all output in memory, which also fails if code removes a stream."""
    return nullcontext()


@cache
def _import_path() -> list[str]:
    return list(sys.path)


@cache
def _shell() -> Any:
    """Returns an IPython shell that behaves as the service: plain tracebacks on stderr, values without `Out[n]`."""
    interactive_shell = importlib.import_module("IPython.core.interactiveshell").InteractiveShell
    configuration = importlib.import_module("traitlets.config").Config()
    configuration.HistoryManager.enabled = False
    shell = interactive_shell.instance(config=configuration, colors="nocolor", xmode="Context")
    shell.displayhook.write_output_prompt = lambda: None
    shell.enable_gui = _enable_no_gui
    shell.ask_exit = lambda: None  # exit() and quit() do not end the session
    shell._tee = _keep_no_output
    for pager in ("less", "more"):  # %less waits for a key; a notebook shows the file
        shell.alias_manager.define_alias(pager, "cat")
    capture_displays(shell, DISPLAYS)
    return shell
