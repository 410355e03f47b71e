"""Forward: a message goes on as SMS from the DID to the owner's phone, and the owner's answer comes back.

One way: the text, with the sender before it if wanted. Two ways (`two_way`): a message that comes *from* the
owner's phone is an answer, and goes from the DID to whoever it is for (`edge.handlers.replies`); no other
handler gets it. A delivery that is worked again after a crash finds the message that it made.

Nothing goes round: a message is never forwarded to its own sender, nor to a DID of ours from which forwards
lead back here; and a text that was forwarded MAX_HOPS times between our DIDs goes no further.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from twisted.internet.defer import Deferred

from edge.errors import Refused, Unavailable
from edge.handlers import EXCERPT_CHARACTERS, Delivered, Failed, Job, Outcome, Retry, replies
from edge.handlers.base import DIDHandler, Key, Rules, SettingError, Settings, Tools, main_text
from edge.outbound import Accepted, Draft, Origin
from edge.policy import numbers
from storage import forwards
from storage.errors import StoreUnavailable
from storage.records import Did
from storage.store import Store

LEG = "forward"
REPLY = "reply"
"""The target of an answer's delivery: who it is for is decided when it is worked."""

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS  # so long a tag that the owner has read is known to be one
HOUR_MS = 3_600_000
MAX_HOPS = 3
RETRY_SECONDS = 30.0
UNTAGGED = ("last", "ask")
NOTES_AN_HOUR = 6  # a phone that answers by itself must not be kept talking to


class ForwardHandler(DIDHandler):
    """I send messages on, and answers back."""

    name = "forward"
    ordered = True
    main = "to"
    keys = (
        Key("to", "text", "the number that messages go on to", "number"),
        Key("two_way", "switch", "an answer from that number goes back to the sender"),
        Key("prefix", "switch", "begin the text with the sender"),
        Key("untagged", "text", "an answer without #tag while several talk: to the last (default), or ask"),
    )

    def __init__(
        self,
        submit: Callable[[Draft], Deferred[Accepted]],
        store: Store,
        did: Callable[[str], Did | None],
    ) -> None:
        self._submit = submit
        self._store = store
        self._did = did
        self._notes = Notes()

    @classmethod
    def build(cls, tools: Tools) -> "ForwardHandler":
        """See `DIDHandler`."""
        return cls(tools.submit, tools.store, tools.did)

    @classmethod
    def check(cls, settings: dict[str, object], rules: Rules) -> dict[str, object]:
        """The number in E.164."""
        to, untagged = settings.get("to"), settings.get("untagged", "")
        if untagged not in ("", *UNTAGGED):
            raise SettingError("forward_untagged", f"expected {' or '.join(UNTAGGED)}, not {untagged}.")
        if isinstance(to, str) and to:
            try:
                settings["to"] = numbers.destination(to, rules.region, "forward_to")
            except Refused as error:
                raise SettingError("forward_to", error.sentence) from error
            if numbers.is_short_code(to):
                raise SettingError("forward_to", f"{to} is a short code; a phone has a whole number.")
        return settings

    @classmethod
    def unsuited(cls, number: str, settings: Settings) -> str | None:
        """See `DIDHandler`: nothing goes on to where it came in."""
        return f"{number} is the number itself; give a phone's." if settings.get("to") == number else None

    @classmethod
    def targets(cls, settings: Settings, peer: str) -> Sequence[str]:
        """The owner's phone; for what comes from there, REPLY or nothing."""
        to = settings.get("to")
        if not isinstance(to, str) or not to:
            return ()
        if peer == to:
            return (REPLY,) if settings.get("two_way") else ()
        return (to,)

    @classmethod
    def moved(cls, settings: Settings, peer: str, target: str) -> str:
        """See `DIDHandler`: the phone that is set now; an answer stays one."""
        return target if target == REPLY or peer == settings.get("to") else main_text(cls, settings, target)

    @classmethod
    def claims(cls, settings: Settings, peer: str) -> bool:
        """An answer is for nobody else."""
        return bool(settings.get("two_way")) and settings.get("to") == peer

    def deliver(self, job: Job) -> Deferred[Outcome]:
        """See `edge.handlers.Handler`."""
        return Deferred.fromCoroutine(self._deliver(job))

    async def _deliver(self, job: Job) -> Outcome:
        try:
            made = await self._store.read(forwards.sent_by, job.delivery.id)
            if made is not None:
                return Delivered("forwarded", excerpt=f"message {made.message_id}")
            did = self._did(job.message.did)
            if did is None:
                return Failed("unknown_did")
            if job.delivery.target == REPLY:
                return await self._answer(job, did)
            return await self._forward(job, did)
        except Refused as error:
            return Failed(error.code, excerpt=error.sentence[:EXCERPT_CHARACTERS])
        except (Unavailable, StoreUnavailable) as error:
            return Retry("unavailable", RETRY_SECONDS, excerpt=str(error)[:EXCERPT_CHARACTERS])

    # -- to the owner -----------------------------------------------------------------------------

    async def _forward(self, job: Job, did: Did) -> Outcome:
        target, message = job.delivery.target, job.message
        if leads_back(did, target, self._did):
            return Failed("loop", excerpt=f"{target} forwards back to {did.number}")
        hops = await self._hops(job)
        if hops >= MAX_HOPS:
            return Failed("loop", excerpt=f"the text was forwarded {hops} times already")
        talks: list[forwards.Talk] = []
        if job.settings.get("two_way"):
            talks = await self._store.writer.run(
                "forward heard",
                lambda conn: forwards.hear(
                    conn,
                    did.id,
                    message.peer,
                    message.created_at,
                    message.created_at - DAY_MS,
                    message.created_at - WEEK_MS,
                ),
            )
        text = replies.tagged(message.text, message.peer, talks, bool(job.settings.get("prefix")))
        accepted = await self._send(job, did, target, text, hops + 1)
        return Delivered("forwarded", excerpt=f"message {accepted.message_id}")

    async def _hops(self, job: Job) -> int:
        """A message from another DID of ours may be a forward itself: then its link tells how far it came."""
        message = job.message
        if self._did(message.peer) is None:
            return 0
        since = message.created_at - HOUR_MS
        return await self._store.read(forwards.hops_of, message.peer, message.did, message.text, since)

    # -- from the owner ---------------------------------------------------------------------------

    async def _answer(self, job: Job, did: Did) -> Outcome:
        message = job.message
        known = await self._store.read(forwards.heard_of, did.id, message.created_at - WEEK_MS)
        talks = [talk for talk in known if talk.last_at >= message.created_at - DAY_MS]
        ask = job.settings.get("untagged") == "ask"
        choice = replies.choose(message.text, talks, message.created_at, ask, tags=len(known) > 1)
        if isinstance(choice, replies.Reply):
            try:
                accepted = await self._send(job, did, choice.peer, choice.text, 1)
            except Refused as error:
                choice = replies.Note(f"Not sent to {choice.peer}: {error.sentence}")
            else:
                return Delivered("replied", excerpt=f"message {accepted.message_id} to {choice.peer}")
        return await self._note(job, did, choice.sentence)

    async def _note(self, job: Job, did: Did, sentence: str) -> Outcome:
        """Tell the owner why his answer went nowhere; the attempt keeps the sentence in any case."""
        if not self._notes.may(did.id, job.message.created_at):
            return Failed("not_sent_on", excerpt=sentence[:EXCERPT_CHARACTERS])
        await self._send(job, did, job.message.peer, sentence, 1)
        return Delivered("asked_back", excerpt=sentence[:EXCERPT_CHARACTERS])

    async def _send(self, job: Job, did: Did, to: str, text: str, hops: int) -> Accepted:
        origin = Origin(job.delivery.id, hops)
        return await self._submit(Draft(did.account_id, did.number, to, text, LEG, origin=origin))


def leads_back(did: Did, target: str, find: Callable[[str], Did | None]) -> bool:
    """Do forwards between our DIDs lead from ``target`` back to ``did``?"""
    seen: set[str] = set()
    while target not in seen:
        if target == did.number:
            return True
        seen.add(target)
        setting = None if (there := find(target)) is None else there.handlers.get(ForwardHandler.name)
        onward = setting.settings.get("to") if setting is not None and setting.enabled else None
        if not isinstance(onward, str):
            return False
        target = onward
    return False


@dataclass(slots=True)
class Notes:
    """When owners were told something, by DID: at most NOTES_AN_HOUR each."""

    _told: dict[int, deque[int]] = field(default_factory=dict)

    def may(self, did_id: int, at_ms: int) -> bool:
        """May this owner be told something now? A yes counts."""
        told = self._told.setdefault(did_id, deque(maxlen=NOTES_AN_HOUR))
        if len(told) == NOTES_AN_HOUR and told[0] > at_ms - HOUR_MS:
            return False
        told.append(at_ms)
        return True
