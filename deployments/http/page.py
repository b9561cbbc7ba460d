"""The endpoints of the page: the page, its files, and the headers that restrict the browser."""

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.digest import digest_bytes
from app.review.page import POLICY, page_html, static_file

HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # kept, but revalidated: all files are of one version
}


def add_page(app: FastAPI) -> None:
    """Adds GET / and GET /static/{name}; they are in no schema and need no key."""

    @app.get("/", include_in_schema=False)
    async def whole(request: Request) -> Response:
        return _answer(request, page_html(), "text/html")

    @app.get("/static/{name}", include_in_schema=False)
    async def part(name: str, request: Request) -> Response:
        file = static_file(name)
        if file is None:
            raise HTTPException(404, "Not Found")
        return _answer(request, *file)


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    tag = f'"{digest_bytes(content)}"'
    headers = HEADERS | {"ETag": tag}
    if tag in request.headers.get("if-none-match", "").split(", "):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)
