"""A SIP phone with a wrong password, as far as a ban."""

import re
import socket

REGISTER = (
    "REGISTER sip:{domain} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{number};rport\r\n"
    "From: <sip:{user}@{domain}>;tag=a\r\nTo: <sip:{user}@{domain}>\r\nCall-ID: {user}@127.0.0.1\r\n"
    "CSeq: {number} REGISTER\r\nMax-Forwards: 70\r\nContact: <sip:{user}@127.0.0.1:{port}>\r\n{more}"
    "Content-Length: 0\r\n\r\n"
)
ANSWER = (
    'Authorization: Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="sip:{domain}", '
    'response="00000000000000000000000000000000", algorithm=MD5, qop=auth, nc=00000001, cnonce="a"\r\n'
)
CHALLENGE = re.compile(r'(realm|nonce)="([^"]+)"')


def guess(server_port: int, domain: str, user: str, times: int) -> None:
    """Answer so many challenges wrongly by UDP; the last may get no answer any more."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.connect(("127.0.0.1", server_port))
        phone.settimeout(60)
        who = {"domain": domain, "user": user, "port": phone.getsockname()[1]}
        for number in range(1, 2 * times, 2):
            phone.send(REGISTER.format(**who, number=number, more="").encode())
            challenge = dict(CHALLENGE.findall(phone.recv(4096).decode()))
            more = ANSWER.format(**who, **challenge)
            phone.send(REGISTER.format(**who, number=number + 1, more=more).encode())
            assert phone.recv(4096).startswith(b"SIP/2.0 403")
