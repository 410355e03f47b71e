"""The second factor of a log-in (RFC 6238), and the codes that stand in for it, each once.

``begin`` keeps a secret that asks for nothing yet; ``prove`` makes it count, when its owner has shown that
his device has it. Secrets are kept as they are given: sealed (see `edge.sealing`).
"""

from collections.abc import Iterable

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select, update

from storage.errors import Conflict, NotFound
from storage.tables import recovery_code, user

NOBODY = "There is no such user."


def begin(connection: Connection, account_id: int, user_id: int, secret: str) -> None:
    """A secret that is shown now; the password alone is enough until it is proved.

    Raises NotFound, Conflict when one was proved already: only `end` takes that away.
    """
    fresh = update(user).where(*_mine(account_id, user_id), user.c.totp_step.is_(None))
    if not connection.execute(fresh.values(totp_secret=secret)).rowcount:
        _must_be(connection, account_id, user_id)
        raise Conflict("The second factor is on already.")


def prove(
    connection: Connection,
    account_id: int,
    user_id: int,
    secret: str,
    step: int,
    code_hashes: Iterable[str],
) -> None:
    """From now on a code of this secret is asked for; that of ``step`` was used.

    Raises NotFound, Conflict when the secret is another one by now.
    """
    begun = (user.c.totp_secret == secret, user.c.totp_step.is_(None))
    proved = update(user).where(*_mine(account_id, user_id), *begun).values(totp_step=step)
    if not connection.execute(proved).rowcount:
        _must_be(connection, account_id, user_id)
        raise Conflict("The second factor was begun again meanwhile.")
    put_codes(connection, account_id, user_id, code_hashes)


def end(connection: Connection, account_id: int, user_id: int) -> None:
    """The password is enough again. Raises NotFound."""
    ended = update(user).where(*_mine(account_id, user_id)).values(totp_secret=None, totp_step=None)
    if not connection.execute(ended).rowcount:
        raise NotFound(NOBODY)
    put_codes(connection, account_id, user_id, ())


def use_step(connection: Connection, account_id: int, user_id: int, step: int) -> bool:
    """Take the code of a step; False when that, or a later one, was used before (RFC 6238 §5.2)."""
    used = update(user).where(*_mine(account_id, user_id), user.c.totp_step < step).values(totp_step=step)
    return connection.execute(used).rowcount > 0


def keep_instead(connection: Connection, account_id: int, user_id: int, kept: str, secret: str) -> bool:
    """The same secret, kept in another way; False when it is another one by now."""
    same = update(user).where(*_mine(account_id, user_id), user.c.totp_secret == kept)
    return connection.execute(same.values(totp_secret=secret)).rowcount > 0


def put_codes(connection: Connection, account_id: int, user_id: int, code_hashes: Iterable[str]) -> None:
    """These spare codes and no others."""
    connection.execute(delete(recovery_code).where(recovery_code.c.user_id.in_(_ids(account_id, user_id))))
    if connection.execute(_ids(account_id, user_id)).first() is None:
        return
    for code_hash in code_hashes:
        connection.execute(insert(recovery_code).values(user_id=user_id, code_hash=code_hash))


def use_code(connection: Connection, account_id: int, user_id: int, code_hash: str, now_ms: int) -> bool:
    """Take a spare code; False when there is none such, or it was used."""
    used = update(recovery_code).where(
        recovery_code.c.user_id.in_(_ids(account_id, user_id)),
        recovery_code.c.code_hash == code_hash,
        recovery_code.c.used_at.is_(None),
    )
    return connection.execute(used.values(used_at=now_ms)).rowcount > 0


def codes_left(connection: Connection, account_id: int, user_id: int) -> int:
    """How many spare codes were not used."""
    unused = select(func.count()).where(
        recovery_code.c.user_id.in_(_ids(account_id, user_id)), recovery_code.c.used_at.is_(None)
    )
    return connection.scalar(unused) or 0


def _must_be(connection: Connection, account_id: int, user_id: int) -> None:
    if connection.execute(_ids(account_id, user_id)).first() is None:
        raise NotFound(NOBODY)


def _ids(account_id: int, user_id: int) -> Select[tuple[int]]:
    return select(user.c.id).where(*_mine(account_id, user_id))


def _mine(account_id: int, user_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return user.c.account_id == account_id, user.c.id == user_id
