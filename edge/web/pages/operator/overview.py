"""/operator: how the server is, what came and went in the last day, and the switch that stops all sending."""

from collections.abc import Mapping
from typing import Any

from edge.web.pages.actions import NO_SETBACK, Doing, Question, Setback
from edge.web.pages.answers import Answer
from edge.web.pages.charts import stacked
from edge.web.pages.locales import N_
from edge.web.pages.operator.commanding import CommandPage
from edge.web.pages.operator.words import figures
from edge.web.pages.sessions import Visitor
from edge.web.request import EdgeRequest
from storage import operators

HOUR_MS = 3_600_000
HOURS = 24
STOPPING = N_(
    "No message of any account leaves any more until it is switched on again. What is accepted waits."
)


class Overview(CommandPage):
    """Charts by hour, and the state of each part."""

    def actions(self) -> Mapping[str, Doing]:
        """See `ActionPage`."""
        return {"stop-sending": self._stop, "let-send": self._let, "reload": self._reload}

    async def shown(
        self, request: EdgeRequest, visitor: Visitor, setback: Setback = NO_SETBACK, **more: Any
    ) -> Answer:
        """All of it."""
        services = self.portal.services
        since = services.wall_ms() // HOUR_MS * HOUR_MS - (HOURS - 1) * HOUR_MS
        hours = await services.store.read(operators.traffic, since, HOUR_MS, HOURS)
        ended = sum(hour.delivered + hour.failed for hour in hours)
        status, stopped = await self.console.look("status"), await self.console.look("kill-switch")
        return self.answer(
            "operator/overview.html",
            request,
            visitor,
            setback,
            tab="",
            hours=hours,
            traffic=stacked([(hour.received, hour.sent) for hour in hours], ("received", "sent")),
            results=stacked(
                [(hour.delivered, hour.failed, hour.waiting) for hour in hours],
                ("delivered", "failed", "waiting"),
            ),
            rate=round(100 * sum(hour.delivered for hour in hours) / ended, 1) if ended else None,
            server=figures(status.document, visitor.locale)
            if status.ok and isinstance(status.document, dict)
            else {},
            stopped=bool(isinstance(stopped.document, dict) and stopped.document.get("on")),
            **{"told": "", **more},
        )

    async def question(self, request: EdgeRequest, visitor: Visitor, do: str) -> Question | None:
        """See `ActionPage`."""
        if do != "stop-sending":
            return None
        said = visitor.locale.gettext
        return Question(said(STOPPING), said(N_("Stop all sending")))

    async def _stop(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        await self.run(request, visitor, "kill-switch on")
        return self.done("/operator", "done")

    async def _let(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        await self.run(request, visitor, "kill-switch off")
        return self.done("/operator", "done")

    async def _reload(self, request: EdgeRequest, visitor: Visitor) -> Answer:
        reply = await self.run(request, visitor, "reload")
        return await self.shown(request, visitor, told=reply.text)
