"""A response as handlers see it."""

from dataclasses import dataclass

EXCERPT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; its body may be ``cut`` at the connection's limit and is as it came, never decompressed.

    ``headers`` have names in lower case.
    """

    status: int
    body: bytes
    cut: bool
    headers: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def successful(self) -> bool:
        """2xx: the status decides, whatever became of the body."""
        return 200 <= self.status < 300

    @property
    def excerpt(self) -> str:
        """The first characters of the body, whatever it is."""
        return self.body[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")[:EXCERPT_CHARACTERS]

    def header(self, name: bytes) -> str | None:
        """The first header of this name (in lower case)."""
        return next((value.decode("latin-1") for key, value in self.headers if key == name), None)
