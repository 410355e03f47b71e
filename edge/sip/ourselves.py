"""How others may write to a socket of ours: what stands in Via and Contact."""

from dataclasses import dataclass

EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Ourselves:
    """``public`` stands for every address of ours when there is one, else ``domain`` for a socket that
    listens on all of them."""

    domain: str
    public: str = ""

    def at(self, host: str, port: int) -> str:
        """host:port for a socket's address."""
        if self.public:
            host = self.public
        elif host in EVERYWHERE:
            host = self.domain
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
