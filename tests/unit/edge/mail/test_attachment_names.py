"""The names of attachments, however a mail writes them: the answer names what was not sent."""

import pytest

from edge.mail.reading import read

PDF = "Content-Type: application/pdf"
ATTACHED = f"{PDF}\r\nContent-Disposition: attachment"


def names(head: bytes) -> tuple[str, ...]:
    """Of a mail with a text and one part that begins so."""
    octets = b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nHi\r\n--b\r\n"
    found = read(octets + head + b"\r\n\r\nx\r\n--b--\r\n", "a@b.example").reply
    assert found.text == "Hi"
    return found.attachments


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (f'{ATTACHED}; filename="Rechnüng 1.pdf"', "Rechnüng 1.pdf"),
        (f"{ATTACHED}; filename=Rechnüng 1.pdf", "Rechnüng 1.pdf"),
        (f"{ATTACHED}; filename=Rechnüng.pdf; size=1", "Rechnüng.pdf"),
        (f'{ATTACHED}; filename="a;ü.pdf"', "a;ü.pdf"),
        (f'{ATTACHED}; filename="ü\\"x.pdf"', 'ü"x.pdf'),
        (f'{ATTACHED}; filename="照片 📷.jpg"', "照片 📷.jpg"),
        (f'{PDF}; name="Rechnüng.pdf"', "Rechnüng.pdf"),
        (f"{PDF}; name=Rechnüng.pdf\r\nContent-Disposition: attachment", "Rechnüng.pdf"),
        ('Content-Type: text/plain; name="grüße.txt"', "grüße.txt"),
        (f'{PDF}\r\nContent-Disposition: anhäng; filename="x.pdf"', "x.pdf"),
        ('Content-Type: text/pläin; name="ü.txt"', "ü.txt"),
        (f"{ATTACHED};\r\n filename*0=\"Rech\";\r\n filename*1=\"nüng.pdf\"", "Rechnüng.pdf"),
        (f"{ATTACHED};\r\n filename*0*=UTF-8''Rechn%C3;\r\n filename*1*=%BCng.pdf", "Rechnüng.pdf"),
        (f"{ATTACHED}; filename*=UTF-8''Rechn%C3%BCng%20%E2%82%AC.pdf", "Rechnüng €.pdf"),
        (f"{ATTACHED}; filename*=iso-8859-1''Rechn%FCng.pdf", "Rechnüng.pdf"),
        (f'{ATTACHED}; filename="=?UTF-8?Q?Rechn=C3=BCng_1.pdf?="', "Rechnüng 1.pdf"),
        (f'{PDF}; name="=?iso-8859-1?B?UmVjaG78bmcucGRm?="', "Rechnüng.pdf"),
        (f'{ATTACHED}; filename="=?UTF-8?Q?Rechn=C3=BC?=\r\n =?UTF-8?Q?ng.pdf?="', "Rechnüng.pdf"),
        (f'{ATTACHED}; filename="=?windows-936?B?xOO6ww==?=.pdf"', "你好.pdf"),
        (f'{ATTACHED}; filename="ü =?UTF-8?Q?=E2=82=AC?= €.pdf"', "ü € €.pdf"),
        (f'{ATTACHED}; filename="=?UTF-8?B?a?="', "=?UTF-8?B?a?="),
        (f'{ATTACHED}; filename="=?idna?Q?a?="', "a"),
        (f'{ATTACHED}; filename="Rechn\r\n üng.pdf"', "Rechn üng.pdf"),
        (f'{ATTACHED}; filename="=?UTF-8?Q?a=0D=0Ab=00c?="', "a b c"),
        (f'{ATTACHED}; filename=""', "application/pdf"),
        (f'{ATTACHED}; filename="C:\\\\u1 =?UTF-8?Q?a?="', "C:\ufffd a"),
    ],
)  # fmt: skip
def test_a_name_is_shown_as_it_was_meant(head: str, name: str) -> None:
    assert names(head.encode()) == (name,)


def test_a_name_in_no_charset_that_is_named_is_one_all_the_same() -> None:
    assert names(f'{ATTACHED}; filename="Rechnüng.pdf"'.encode("latin-1")) == ("Rechn\ufffdng.pdf",)
    assert len(names(f"{ATTACHED}; filename*=UTF-8''Grüße.pdf".encode())) == 1
