"""Review: the page on which a person sees images as they are made, and keeps some of them.

The packaged files of the page, and its content policy; the interactive service serves them.
"""

from importlib.resources import files

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: its own files and service, and images as they arrive."""

MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_SCRIPTS = (
    "access api code composer dom elsewhere facts fleet foot history keys main panels request "
    "scale session sse stage tabs tiles"
)
_FILES = frozenset(
    [f"{name}.js" for name in _SCRIPTS.split()]
    + ["base.css", "page.css", "panels.css", "stage.css", "icon.svg"]
)


def page_html() -> bytes:
    """Returns the page as UTF-8 HTML; it names its files by paths relative to its own address."""
    return (files("app.review") / "templates" / "previews.html").read_bytes()


def static_file(name: str) -> tuple[bytes, str] | None:
    """Returns a file of the page and its media type; None for every other name."""
    if name not in _FILES:
        return None
    suffix = name[name.rindex(".") :]
    return (files("app.review") / "static" / name).read_bytes(), MEDIA_TYPES[suffix]
