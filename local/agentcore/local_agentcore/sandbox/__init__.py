"""One bubblewrap sandbox a session: how it is started, bounded, talked to and ended.

`host` is the way in. `stub` and `inside/` run in other processes, before and within bubblewrap.
"""
