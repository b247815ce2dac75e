"""The `sandpiper` command."""

import io
import os
import sys

OUTPUT_FAILED = 2


def main() -> None:
    """Runs the command line. Ctrl-C during the imports exits without a traceback, as it does later."""
    _prepare_streams()
    try:
        from sandpiper.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.filename is not None:
            raise
        _exit_without_output(error)
    finally:
        try:
            sys.stdout.flush()
        except OSError as error:
            _exit_without_output(error)


def _prepare_streams() -> None:
    """Replaces characters that a stream cannot encode, and exits if standard output is closed.

    Closed standard input is empty, and closed standard error discards its output.
    """
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison] - the stream is closed
        sys.stdin = open(os.devnull)  # noqa: SIM115, PTH123 - open until the process ends
    if sys.stderr is None:  # pyright: ignore[reportUnnecessaryComparison]
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]
        print("error: standard output is closed; nothing was run", file=sys.stderr)
        sys.exit(OUTPUT_FAILED)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _exit_without_output(error: OSError) -> None:
    """Exits with one message because standard output cannot be written; without one if its reader has ended."""
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - the flush at exit would fail again
    if not isinstance(error, BrokenPipeError):
        print(f"error: standard output cannot be written: {error.strerror}", file=sys.stderr)
    sys.exit(OUTPUT_FAILED)


if __name__ == "__main__":
    main()
