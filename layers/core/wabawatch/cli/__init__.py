"""The command line: `wabawatch`.

Importing this costs little more than click: a command's module is loaded when the command is chosen, so that help and
completion are quick.
"""

from wabawatch.cli.program import program


def main() -> None:
    """Run the command line; leaves by SystemExit."""
    program()


__all__ = ["main", "program"]
