"""The formats of charts, apart from the library that draws them, which takes long to import."""

from __future__ import annotations

SUFFIXES = (".svg", ".png", ".html")
