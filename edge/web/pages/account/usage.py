"""/account/usage: how much was received and sent in the last days, and what limits there are."""

from collections import defaultdict

from edge.web.pages.answers import Answer
from edge.web.pages.charts import stacked
from edge.web.pages.page import MemberPage
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import accesses, accounts, numbers, usage
from storage.usage import DAY_MS

DAYS = 30


class Usage(MemberPage):
    """Everybody may look. Days are those of UTC, as they are counted."""

    async def show(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        """A chart and its figures, by day and by number."""
        services, mine = self.portal.services, visitor.account_id
        now_ms = services.wall_ms()
        first = now_ms // DAY_MS * DAY_MS - (DAYS - 1) * DAY_MS
        rows = await services.store.read(usage.daily, mine, first, first + DAYS * DAY_MS)
        by_day: dict[int, list[int]] = {first + index * DAY_MS: [0, 0, 0] for index in range(DAYS)}
        by_did: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for row in rows:
            for totals in (by_day[row.day], by_did[row.did]):
                totals[0] += row.received
                totals[1] += row.sent
                totals[2] += row.sent_parts
        return self.portal.page(
            "account/usage.html",
            visitor,
            said="",
            chart=stacked([day[:2] for day in by_day.values()], ("received", "sent")),
            days=[(day, totals) for day, totals in reversed(by_day.items()) if any(totals)],
            by_did=sorted(by_did.items()),
            first=first,
            last=first + (DAYS - 1) * DAY_MS,
            access=await services.store.read(accesses.access_of, mine),
            keys=[
                key for key in await services.store.read(accounts.list_keys, mine) if key.revoked_at is None
            ],
            requests=services.config.http.requests_per_minute,
            dids=len(await services.store.read(numbers.list_dids, mine)),
        )
