"""The command `callgate`."""

import sys

from callgate._command import serve_in_processes


def main():
    """Serves the application that the command line names. Returns the exit status."""
    return serve_in_processes(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
