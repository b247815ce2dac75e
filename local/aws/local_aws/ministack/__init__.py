"""The part of the embedded AWS that runs in MiniStack's process. Only `patches` imports MiniStack."""
