"""The `sandpiper` command."""

import sys


def main() -> None:
    """Runs the command line; Ctrl-C while it is still being loaded ends it as quietly as later."""
    try:
        from sandpiper.cli import app

        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
