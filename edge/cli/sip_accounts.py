"""trunkline sip-account: phones of an account. A running server sees a change within a second."""

from dataclasses import replace
from pathlib import Path

import click
import phonenumbers

from edge.cli.accounts import account_option, generate_option, new_password, stdin_option
from edge.cli.common import Failed, config_option, desk, json_option, load, say
from edge.cli.desk import Desk
from edge.config import SIPConfig
from edge.sip import accounts as phones
from edge.tabular import table
from storage import accounts, sip_accounts
from storage.errors import NotFound
from storage.records import Account
from storage.sip_accounts import SipAccount


@click.group("sip-account")
def sip_account() -> None:
    """Phones that register by SIP."""


@sip_account.command("add")
@account_option
@click.option(
    "--did", "dids", multiple=True, required=True, help="A number it sends as; the first by default."
)
@click.option(
    "--digest",
    type=click.Choice(["md5", "sha-256", "both"]),
    default="md5",
    show_default=True,
    help="The challenges it gets; most phones know md5 only.",
)
@click.option(
    "--region",
    type=click.Choice(sorted(phonenumbers.SUPPORTED_REGIONS)),
    metavar="COUNTRY",
    default=None,
    help="The country whose spelling of numbers it has (ISO 3166); the server's by default.",
)
@click.option(
    "--reports/--no-reports",
    default=False,
    show_default=True,
    help="Ask it what became of its texts (message/cpim, RFC 5438); not every phone shows such texts.",
)
@click.argument("username")
@stdin_option
@generate_option
@config_option
@json_option
def add(
    account_name: str,
    dids: tuple[str, ...],
    digest: sip_accounts.Digest,
    region: str | None,
    reports: bool,
    username: str,
    password_stdin: bool,
    generate: bool,
    config_file: Path,
    as_json: bool,
) -> None:
    """Add a phone, or give it another password and other numbers.

    Messages to its numbers go to it from now on, unless another phone has them. The password is asked for,
    read from standard input, or made and shown once.
    """
    domain = _sip(config_file).domain
    if phones.USERNAME.fullmatch(username) is None:
        raise Failed("A SIP username has 1 to 64 of the characters A-Z a-z 0-9 _ . + -")
    with desk(config_file) as work:
        e164 = tuple(dict.fromkeys(work.did_number(number) for number in dids))
        password, made = new_password(password_stdin, generate)
        wanted = phones.wanted(username, domain, password, digest, e164)
        added = _add(work, account_name, replace(wanted, region=region or "", reports=reports))
    sentence = f"{added.aor} sends as {', '.join(added.dids)}."
    if made:
        sentence += f" Password: {password}"
    say(as_json, sentence, {**_document(added), **({"password": password} if made else {})})


@sip_account.command("list")
@click.option("--account", "account_name", help="Of one account only.")
@config_option
@json_option
def show(account_name: str | None, config_file: Path, as_json: bool) -> None:
    """Show the phones."""
    with desk(config_file) as work, work.engine.snapshot() as connection:
        owner = None
        if account_name is not None:
            owner = _owner(accounts.find_account(connection, account_name), account_name).id
        found = sip_accounts.list_sip_accounts(connection, owner)
    rows = [("PHONE", "DIGEST", "NUMBERS"), *((item.aor, item.digest, " ".join(item.dids)) for item in found)]
    say(as_json, table(rows), [_document(item) for item in found])


@sip_account.command("remove")
@click.argument("username")
@config_option
@json_option
def remove(username: str, config_file: Path, as_json: bool) -> None:
    """Remove a phone; what it sent and received stays."""
    domain = _sip(config_file).domain
    with desk(config_file) as work, work.transaction() as connection:
        gone = phones.remove(connection, work.ids.next, username, domain)
    say(as_json, f"{gone.aor} removed.", {"aor": gone.aor, "removed": True})


def _sip(config_file: Path) -> SIPConfig:
    config = load(config_file)
    if config.sip is None:
        raise Failed(f"{config_file} has no [sip]: set sip.domain first.")
    return config.sip


def _add(work: Desk, account_name: str, wanted: SipAccount) -> SipAccount:
    with work.transaction() as connection:
        owner = _owner(accounts.find_account(connection, account_name), account_name)
        wanted = replace(wanted, account_id=owner.id, created_at=work.clock_ms())
        return phones.add(connection, work.ids.next, wanted)


def _owner(found: Account | None, name: str) -> Account:
    if found is None:
        raise NotFound(f"There is no account {name}. Add it with: trunkline account add")
    return found


def _document(item: SipAccount) -> dict[str, object]:
    return {
        "aor": item.aor,
        "username": item.username,
        "digest": item.digest,
        "dids": list(item.dids),
        "region": item.region,
        "reports": item.reports,
    }
