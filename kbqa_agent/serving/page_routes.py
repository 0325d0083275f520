"""The page: one file of HTML, and the few files beside it; nothing of it comes from anywhere else."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

__all__ = ["add_page"]

STATIC = Path(__file__).parent.parent / "static"


def add_page(app: FastAPI, folder: Path = STATIC) -> None:
    """Serve `index.html` at `/`, and what lies beside it under `/static/`."""

    async def page(_: Request) -> Response:
        if not (folder / "index.html").exists():
            return PlainTextResponse("kbqa: this server has no page; GET /openapi.json lists its routes\n")
        return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})

    app.router.add_route("/", page, methods=["GET"], include_in_schema=False)
    app.mount("/static", _Files(directory=folder, check_dir=False), name="static")


class _Files(StaticFiles):
    """Files that a browser asks after each time, so that a new version is seen at once."""

    def file_response(self, *args: object, **given: object) -> Response:
        response = super().file_response(*args, **given)  # type: ignore[arg-type]
        response.headers.setdefault("Cache-Control", "no-cache")
        return response
