"""Comments in structured headers (RFC 5322 §3.2.2)."""


def removed(text: str) -> str:
    """Each comment, with those in it, is a blank; one without an end is none."""
    kept: list[str] = []
    open_at: list[int] = []
    escaped = False
    for letter in text:
        kept.append(letter)
        if escaped or (letter == "\\" and open_at):
            escaped = not escaped
        elif letter == "(":
            open_at.append(len(kept) - 1)
        elif letter == ")" and open_at:
            kept[open_at.pop() :] = " "
    return "".join(kept)
