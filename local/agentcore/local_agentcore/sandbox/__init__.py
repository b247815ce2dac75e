"""Sandboxes of code sessions, one bubblewrap process each: start, limits, communication and end.

`host` is the entry point. `launcher` and `slirp_launcher` run in child processes before bubblewrap and slirp4netns.
`guest` runs inside the sandbox.
"""
