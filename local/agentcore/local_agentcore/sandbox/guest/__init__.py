"""What runs inside a sandbox: the standard library and IPython, nothing else of this package.

The folder is mounted read-only into every sandbox, so its modules import each other relatively and nothing outside it.
The host imports `frames` from here too: both ends of the socket share one definition of a frame.
"""
