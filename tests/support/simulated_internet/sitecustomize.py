"""Gives a Python that root has started, and its child processes, the name server of the simulated internet."""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x00020000, 4096, 16384, 1 << 18

if "SIMULATED_RESOLV_CONF" in os.environ:
    libc, source = ctypes.CDLL(None), os.environ.pop("SIMULATED_RESOLV_CONF").encode()
    for result in (
        libc.unshare(CLONE_NEWNS),
        libc.mount(b"none", b"/", b"", MS_REC | MS_PRIVATE, b""),
        libc.mount(source, os.path.realpath(b"/etc/resolv.conf"), b"", MS_BIND, b""),
    ):
        if result != 0:
            os._exit(1)
