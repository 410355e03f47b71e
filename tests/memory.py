"""A folder in memory for what tests write: on a disk much of a run is the making of their stores."""

import os

_FOLDER = "/dev/shm"
_ROOM_OCTETS = 6 << 30


def folder() -> str | None:
    """Its name, if there is room."""
    try:
        found = os.statvfs(_FOLDER)
    except OSError:
        return None
    room = found.f_bavail * found.f_frsize >= _ROOM_OCTETS and os.access(_FOLDER, os.W_OK | os.X_OK)
    return _FOLDER if room else None
