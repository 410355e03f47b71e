"""What can go wrong with a text that somebody wants to send. What arrives is never refused."""

MAXIMUM_PARTS = 255
"""The total and the number of a part are one octet each (TS 23.040 §9.2.3.24.1)."""


class TooLong(ValueError):
    """The text needs more parts than a message can have; `limit` is how many it can have.

    `parts` is how many it needs when clusters are cut.
    """

    def __init__(self, parts: int) -> None:
        self.parts = parts
        self.limit = MAXIMUM_PARTS
        super().__init__(f"The text needs {parts} parts; a message has at most {MAXIMUM_PARTS}.")


class NotEncodable(UnicodeError):
    """The text is not Unicode text: it has half of a surrogate pair, at index `position`."""

    def __init__(self, text: str, position: int) -> None:
        self.character = text[position]
        self.position = position
        super().__init__(
            f"The text has half of a surrogate pair (U+{ord(self.character):04X}) at position {position}, "
            "which stands for no character."
        )
