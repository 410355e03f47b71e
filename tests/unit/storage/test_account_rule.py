"""Customers' queries take the account; a function of the store without one has its reason here.

That those which take it keep to it is shown in tests/integration/storage/test_store_isolation.py.
"""

from tests.repository import functions, takes_the_account

COMMANDS = "commands of operators"
UPKEEP = "upkeep of the whole store"
INBOUND = "the inbound pipeline, by upstream"
OUTBOUND = "the outbound pipeline, by upstream or part"
RECEIPTS = "the receipt pipeline, by upstream or part"
OUTBOX = "the outbox, by lane, owner or delivery"
FEED = "the follower of the feed"
LOG_IN = "before anybody knows whose it is"
FILTERED = "part of what its caller filtered"
SIP = "the registrar, which has looked up the phone"
MAIL = "the way of mail, by what a signed token names"

WITHOUT = {
    "accounts.add_account": COMMANDS,
    "accounts.find_account": COMMANDS,
    "accounts.find_user": LOG_IN,
    "accounts.list_accounts": COMMANDS,
    "audit.everything": COMMANDS,
    "check.check": UPKEEP,
    "deletion.purge": UPKEEP,
    "deliveries.insert_event": RECEIPTS,
    "endpoints.failing": "the server, for all handlers",
    "events.begin_epoch": UPKEEP,
    "events.follow": FEED,
    "events.followed": FEED,
    "events.head": "a place, no content",
    "events.purge": UPKEEP,
    "events.start": "a place, no content",
    "events.write": FILTERED,
    "forwards.hear": "the forward handler, by the DID that it serves",
    "forwards.heard_of": "the forward handler, by the DID that it serves",
    "forwards.hops_of": "the forward handler, by the DID that it serves",
    "forwards.sent_by": "the forward handler, by its delivery",
    "highest.highest_id": UPKEEP,
    "idempotency.purge_expired": UPKEEP,
    "inbound_parts.open_parts": INBOUND,
    "inbound_parts.recent": INBOUND,
    "listening.notify": "a word to other servers, no content",
    "mail.count_seen": MAIL,
    "mail.due_notices": "the sender of notices, for all",
    "mail.find_conversation": MAIL,
    "mail.find_delivery": MAIL,
    "mail.find_seen": MAIL,
    "mail.purge_seen": UPKEEP,
    "mail.record_bounce": MAIL,
    "messages.awaiting_status": RECEIPTS,
    "messages.exists": COMMANDS,
    "messages.recent_inbound": INBOUND,
    "messages.views": FILTERED,
    "migrate.configuration": UPKEEP,
    "moves.move": OUTBOUND,
    "moves.page": OUTBOUND,
    "moves.waiting_one": OUTBOUND,
    "numbers.bump_catalog": FILTERED,
    "numbers.catalog_version": "the server's directory",
    "numbers.find_did": LOG_IN,
    "numbers.load_catalog": "the server's directory",
    "numbers.set_did": COMMANDS,
    "parts.decide": OUTBOUND,
    "parts.doubtful": OUTBOUND,
    "parts.overdue": OUTBOUND,
    "parts.queued": OUTBOUND,
    "parts.record_late": OUTBOUND,
    "parts.unanswered": OUTBOUND,
    "paused.pause": COMMANDS,
    "paused.paused": "the outbox, for all targets",
    "paused.resume": COMMANDS,
    "queue.claim": OUTBOX,
    "queue.due_lanes": OUTBOX,
    "queue.held": OUTBOX,
    "queue.release": OUTBOX,
    "queue.renew": OUTBOX,
    "queue.take_over": OUTBOX,
    "receipts.purge_unmatched": RECEIPTS,
    "receipts.rematch": RECEIPTS,
    "receipts.store_and_match": RECEIPTS,
    "receipts.store_and_match_all": RECEIPTS,
    "receipts.unmatched": RECEIPTS,
    "registrations.bindings": SIP,
    "registrations.change": SIP,
    "registrations.make_due": SIP,
    "registrations.purge_bindings": UPKEEP,
    "registrations.purge_taken": UPKEEP,
    "registrations.recently_taken": SIP,
    "registrations.waiting_deliveries": SIP,
    "removal.remove": FILTERED,
    "retention.steps": UPKEEP,
    "search.forget": FILTERED,
    "search.index": FEED,
    "search.index_history": FEED,
    "search.index_next": FEED,
    "sessions.add_session": LOG_IN,
    "sessions.end_session": LOG_IN,
    "sessions.end_sessions_of": LOG_IN,
    "sessions.find_session": LOG_IN,
    "sessions.purge_expired": UPKEEP,
    "sip_accounts.find_sip_account": LOG_IN,
    "sip_accounts.remove_sip_account": COMMANDS,
    "statements.execute": FILTERED,
}


def test_every_function_for_customers_takes_the_account() -> None:
    without = {name for name, function in functions().items() if not takes_the_account(function)}
    assert without == set(WITHOUT)
