"""A Sphinx extension: a built page may load nothing from another host."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "video": ("src", "poster"),
}
"""What a browser fetches by itself, unlike the targets of links; by element."""


class Resources(HTMLParser):
    """Collects what the elements of a page load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the resources of one element."""
        self.found += [value for name, value in attrs if value and name in LOADED.get(tag, ())]


def foreign(html: str) -> list[str]:
    """The resources of a page that are on another host.

    Example:
        >>> foreign('<a href="https://arxiv.org">a link</a> <img src="a.png"> <script src="//cdn.net/m.js"></script>')
        ['//cdn.net/m.js']
    """
    parser = Resources()
    parser.feed(html)
    return [resource for resource in parser.found if urlparse(resource.strip()).netloc]


def check(app: Any, exception: Exception | None) -> None:
    """Look at every page and style sheet.

    Raises:
        ExtensionError: if one loads something from another host.
    """
    from sphinx.errors import ExtensionError

    if exception is not None or app.builder.format != "html":
        return
    out = Path(app.outdir)
    found = {page: foreign(page.read_text()) for page in out.rglob("*.html")}
    for sheet in out.rglob("*.css"):
        text = sheet.read_text()
        found[sheet] = [mark for mark in ("url(http", "url(//", "@import") if mark in text.replace('"', "")]
    bad = [f"{page.relative_to(out)}: {', '.join(what)}" for page, what in found.items() if what]
    if bad:
        raise ExtensionError("pages need a network:\n" + "\n".join(bad))


def setup(app: Any) -> dict[str, bool]:
    """Check at the end of a build."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
