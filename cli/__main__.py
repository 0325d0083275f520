"""`python -m cli` is `kbqa`."""

from cli.commands import main

main(prog_name="kbqa")
