"""How many rows a page may have."""


def bounded(limit: int, most: int) -> int:
    """How many rows to read: at least 1, at most one more than ``most``.

    Who shows ``limit`` rows reads one more, and so knows whether anything follows.
    """
    return min(max(limit, 1), most + 1)
