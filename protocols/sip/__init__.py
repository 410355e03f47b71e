"""SIP for registrars and MESSAGE (RFC 3261 without INVITE, RFC 3428).

`message` turns octets into requests and responses, `headers` and `uri` read their fields, `validity` says
what is wrong with a request, `framing` cuts a stream; `transaction` keeps the rules of retransmission without
a socket and without a clock, `digest` those of passwords; `body`, `cpim` and `imdn` understand what a MESSAGE
carries; `transport` puts it all on Twisted.
"""
