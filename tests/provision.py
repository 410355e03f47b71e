"""A store with an account, a key and DIDs, made directly: for tests and benches that need many at once."""

import hashlib
import time
from collections.abc import Iterable, Mapping

from storage import accounts, migrate, numbers
from storage.engines import open_engine
from storage.ids import IdSource

KEY = "tk_test_0123456789abcdef0123456789abcdef"


def provision(
    url: str,
    dids: Iterable[str],
    callback: Mapping[str, object] | None = None,
    account: str = "test",
    key: str = KEY,
) -> int:
    """Migrate the store and fill it; the account's id.

    ``callback`` are the settings of every DID's callback handler.
    """
    now_ms = time.time_ns() // 1_000_000
    ids = IdSource(15, lambda: time.time_ns() // 1_000_000)
    engine = open_engine(url)
    try:
        migrate.upgrade(engine)
        with engine.transaction() as conn:
            owner = accounts.add_account(conn, ids.next, account, now_ms)
            accounts.add_key(
                conn, ids.next, owner.id, "test", key[:8], hashlib.sha256(key.encode()).hexdigest(), now_ms
            )
            for number in dids:
                numbers.add_did(conn, ids.next, owner.id, number, now_ms)
                if callback is not None:
                    numbers.set_did(
                        conn, ids.next, number, handler="callback", enabled=True, settings=callback
                    )
        return owner.id
    finally:
        engine.close()


def main() -> None:
    """python -m tests.provision URL CALLBACK_URL DID…"""
    import sys

    url, callback, *dids = sys.argv[1:]
    provision(url, dids, {"url": callback, "retry": True} if callback else None)


if __name__ == "__main__":
    main()
