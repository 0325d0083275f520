"""How every command ends: with one line, and a status, where the library or the system refuses."""

from __future__ import annotations

import sys
from typing import Any

import click

from cli.options import MAY_BE_PARTIAL
from kb_index.errors import KBQAError, MissingShardError

__all__ = ["Commands"]

DUCKDB_INTERRUPTED = "Query interrupted"


class Commands(click.Group):
    """A group whose commands end with one line and status 1 when the library raises a KBQAError."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except KBQAError as error:
            is_optional = isinstance(error, MissingShardError) and MAY_BE_PARTIAL in ctx.meta
            click.echo(f"kbqa: {error}{', or do without it: --partial' if is_optional else ''}", err=True)
            ctx.exit(1)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except OSError as error:
            click.echo(f"kbqa: {error.strerror or error}; nothing more was written", err=True)
            ctx.exit(1)
        except (KeyboardInterrupt, RuntimeError) as error:
            if isinstance(error, RuntimeError) and str(error) != DUCKDB_INTERRUPTED:
                raise
            click.echo("kbqa: interrupted; what was there before is as it was", err=True)
            ctx.exit(130)
