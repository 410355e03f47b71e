"""Texts in which something usually breaks on the way from a phone to a page and back."""

TEXTS = {
    "plain": "Hello, world",
    "extension": "é€^{}[]~|\\",
    "emoji": "👍🏽 and 👨‍👩‍👧‍👦",
    "reserved": "+ & # % = ? / \" ' <b>",
    "newline": "line one\nline two",
    "arabic": "مرحبا بالعالم",
}
