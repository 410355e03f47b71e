"""Why a request gets no answer. The reason is a short stable word, kept with the attempt."""


class NoAnswer(Exception):
    """There was no usable response; ``detail`` is a sentence for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class URLRefused(NoAnswer):
    """The URL may not be asked, wherever it leads. No connection was opened."""

    def __init__(self, detail: str) -> None:
        super().__init__("url_refused", detail)


class AddressRefused(NoAnswer):
    """The host has an address that outgoing HTTP may not reach."""

    def __init__(self, host: str, address: str, why: str) -> None:
        super().__init__("address_refused", f"{host} is at {address}: {why}")
