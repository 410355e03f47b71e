"""SMPP 3.4: PDUs, codec, session and transport.

`pdu` holds the PDU classes, `codec` turns them into octets and back, `session` keeps the rules of one TCP
session without touching a socket or a clock, `transport` puts a session on Twisted. The rest serves these
four.
"""
