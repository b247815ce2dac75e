"""The `sandpiper` command."""

import sys


def main() -> None:
    """Runs the command line. Ctrl-C during the imports exits without a traceback, as it does later."""
    try:
        from sandpiper.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
