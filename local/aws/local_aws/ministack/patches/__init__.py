"""Patches of MiniStack, at least one module per MiniStack service. No other module imports MiniStack.

Each module states the version that it was written for as MINISTACK_VERSION; `version_check` compares it with the
installed one. To use another version, compare the replaced functions with those of that version and run `tests/local`.
"""
