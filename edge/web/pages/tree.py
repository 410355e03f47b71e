"""A part of the portal with several pages: a table of paths, and a page for each."""

from collections.abc import Callable, Mapping

from twisted.web.resource import Resource

from edge.web.pages.page import Missing, Page
from edge.web.pages.portal import Portal
from edge.web.request import EdgeRequest

Pages = Mapping[str, Callable[..., Page]]
"""Each page by its path below the part's own: "" for that itself, "keys", "keys/{name}". A page is made with
the portal, and what its path names as a text."""


class Tree(Missing):
    """I find the page. A slash at the end changes nothing."""

    isLeaf = False

    def __init__(self, portal: Portal, pages: Pages) -> None:
        super().__init__(portal)
        self._pages = {tuple(path.split("/")) if path else (): page for path, page in pages.items()}

    def getChild(self, path: bytes, request: EdgeRequest) -> Resource:
        """The page of the whole rest of the path."""
        names = [path, *(request.postpath or [])]
        if names[-1] == b"":
            names.pop()
        try:
            found = self._find([name.decode() for name in names])
        except UnicodeDecodeError:
            found = None
        if found is None:
            return Missing(self.portal)
        request.prepath, request.postpath = [*(request.prepath or []), *names[1:]], []
        return found

    def render(self, request: EdgeRequest) -> int:
        """The part's own page, asked for without a slash."""
        page = self._find([]) or Missing(self.portal)
        return page.render(request)

    def _find(self, names: list[str]) -> Page | None:
        for pattern, page in self._pages.items():
            if len(pattern) == len(names):
                given = [name for part, name in zip(pattern, names, strict=True) if part.startswith("{")]
                same = all(
                    part.startswith("{") or part == name for part, name in zip(pattern, names, strict=True)
                )
                if same and all(name and "\0" not in name for name in given):
                    return page(self.portal, *given)
        return None
