"""The cookies: the log-in, what ties the log-in form to the browser that asked for it, and the time zone.

The zone is the browser's own, written by the page's script, for people who have chosen none; it is no secret.
"""

import re

from edge.web.headers import Header
from edge.web.pages.sessions import ABSOLUTE_MS
from edge.web.request import EdgeRequest

LOG_IN = "trunkline"
FORM = "trunkline-form"
ZONE = "trunkline-zone"
FORM_SECONDS = 24 * 3600
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}", re.ASCII)
_ZONE = re.compile(r"[A-Za-z0-9_+/-]{1,64}", re.ASCII)


class Cookies:
    """I write and read them. ``secure``: people come by https, so the browser must keep them to it."""

    def __init__(self, secure: bool) -> None:
        self._secure = secure

    def name(self, cookie: str) -> str:
        """With https, in the form that no other host and no plain connection can set."""
        return f"__Host-{cookie}" if self._secure else cookie

    def read(self, request: EdgeRequest, cookie: str) -> str | None:
        """The token in this cookie, if it looks like one of ours."""
        value: bytes | None = request.getCookie(self.name(cookie).encode())
        written = "" if value is None else value.decode("latin-1")
        return written if _TOKEN.fullmatch(written) else None

    def zone(self, request: EdgeRequest) -> str:
        """The browser's time zone, if it has said one."""
        value: bytes | None = request.getCookie(self.name(ZONE).encode())
        written = "" if value is None else value.decode("latin-1").replace("%2F", "/")
        return written if _ZONE.fullmatch(written) else ""

    def log_in(self, token: str) -> Header:
        """Keep this log-in."""
        return self._set(LOG_IN, token, ABSOLUTE_MS // 1000)

    def log_out(self) -> Header:
        """Forget it."""
        return self._set(LOG_IN, "", 0)

    def form(self, token: str) -> Header:
        """Keep the log-in form's token."""
        return self._set(FORM, token, FORM_SECONDS)

    def _set(self, cookie: str, value: str, seconds: int) -> Header:
        attributes = f"Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{'; Secure' if self._secure else ''}"
        return b"Set-Cookie", f"{self.name(cookie)}={value}; {attributes}".encode()
