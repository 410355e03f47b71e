"""QR codes as SVG, in the page itself: nothing of what is in them is ever at an address of its own."""

import segno
from markupsafe import Markup


def qr(text: str) -> Markup:
    """Black on white in any colour scheme: some readers know it no other way."""
    drawn = segno.make(text, error="m", micro=False).svg_inline(
        scale=5, border=4, dark="#000", light="#fff", svgclass=None, lineclass=None
    )
    return Markup(drawn)  # drawn from squares: no text is in it
