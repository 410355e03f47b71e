"""Outgoing HTTP: a client for URLs that customers wrote, on ground that is taken to be hostile.

    URL ─ urls ─ origin ─ pool ─┬─ idle connection ──────────────────────────┬─ connection ─ Answer
                                └─ resolving ─ addresses ─ connecting ─ TCP ─┘

Every URL, every address that a name has, and the peer of every connection are vetted; a connection goes to
the vetted address and nowhere else. Times, sizes and the number of connections are bounded.
"""
