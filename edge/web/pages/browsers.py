"""What a User-Agent header says, in the two words that people know."""

import re

_BROWSERS = (
    ("Edge", "Edg"),
    ("Opera", "OPR"),
    ("Samsung Internet", "SamsungBrowser"),
    ("Firefox", "Firefox"),
    ("Firefox", "FxiOS"),
    ("Chrome", "Chrome"),
    ("Chrome", "CriOS"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iOS", "iPhone|iPad"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X|Macintosh"),
    ("ChromeOS", "CrOS"),
    ("Linux", "Linux|X11"),
)
MAX_CHARACTERS = 200


def shown(user_agent: str) -> str:
    """As "Firefox, Linux"; the beginning of the header when it is none of those that we know."""
    names = [
        next((name for name, mark in known if re.search(mark, user_agent)), "")
        for known in (_BROWSERS, _SYSTEMS)
    ]
    return ", ".join(filter(None, names)) or user_agent[:40]
