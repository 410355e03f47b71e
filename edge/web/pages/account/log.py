"""/account/log: who changed what in the account."""

from sqlalchemy import Connection

from edge.web.api.members import parse_identifier
from edge.web.pages import changes
from edge.web.pages.answers import Answer
from edge.web.pages.forms import Fields
from edge.web.pages.page import MemberPage
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import accounts, audit, contacts, sip_accounts
from storage.records import Role

PAGE = 100


class Log(MemberPage):
    """Owners look; nobody changes it."""

    sees = Role.OWNER

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """The newest first, a page at a time."""
        before = parse_identifier(Fields(request).line("before"))
        found = await self.portal.services.store.read(
            audit.listed, visitor.account_id, before_id=before, limit=PAGE + 1
        )
        older = found[PAGE - 1].id if len(found) > PAGE else None
        names = await self.portal.services.store.read(_names, visitor.account_id)
        entries = [
            {
                "at": entry.at,
                "who": changes.actor_word(entry.actor, visitor.locale),
                "what": changes.action_word(entry.action, visitor.locale),
                "subject": names.get(entry.subject, entry.subject),
                "details": changes.details(entry.detail, visitor.locale),
                "address": entry.address,
            }
            for entry in found[:PAGE]
        ]
        return self.portal.page("account/log.html", visitor, said="", entries=entries, older=older)


def _names(conn: Connection, account_id: int) -> dict[str, str]:
    """Of what older entries have the id of, and is still there."""
    return {
        **{str(user.id): user.login for user in accounts.list_users(conn, account_id)},
        **{str(key.id): key.name for key in accounts.list_keys(conn, account_id)},
        **{str(phone.id): phone.aor for phone in sip_accounts.list_sip_accounts(conn, account_id)},
        **{str(group.id): group.name for group in contacts.groups(conn, account_id)},
    }
