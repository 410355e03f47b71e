"""SIP at the edge: phones register, send and receive.

`listeners` holds the sockets, `agent` the transactions; `guard` and `gate` decide who is heard; `registrar`
keeps where phones are, `intake` takes their messages, `delivery` brings them theirs; `service` builds it all.
"""
