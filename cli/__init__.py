"""The command line `kbqa`."""

from cli.commands import main

__all__ = ["main"]
