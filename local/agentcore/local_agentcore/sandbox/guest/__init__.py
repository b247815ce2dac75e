"""Code that runs inside a sandbox. It imports only the standard library and IPython.

The directory is mounted read-only into every sandbox, so its modules import nothing outside it. The host imports
`frames` and `displays` from here as well, so that both ends share one definition.
"""
