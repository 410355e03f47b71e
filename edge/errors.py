"""What a leg is told when a message cannot be taken: each error carries its answer."""


class Refused(Exception):
    """The request is wrong or not allowed; trying it again unchanged will not help.

    ``code`` is stable snake_case for programs, ``sentence`` is for people, ``field`` names the member
    of the request that is at fault (or is None), ``http_status`` is the 4xx that HTTP legs answer.
    """

    def __init__(self, code: str, sentence: str, field: str | None = None, http_status: int = 422) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.field = field
        self.http_status = http_status


class Unavailable(Exception):
    """The server cannot take the message now; nothing was stored. HTTP legs answer 503.

    ``retry_after`` is in seconds.
    """

    def __init__(self, sentence: str, retry_after: float = 5.0) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.retry_after = retry_after
