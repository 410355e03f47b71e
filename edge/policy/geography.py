"""Where a number is at home, as far as its digits tell."""

import phonenumbers


def country_of(number: str) -> str:
    """The country (ISO 3166) of an E.164 number; "" for none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number)) or ""
    except phonenumbers.NumberParseException:
        return ""


def region_of(number: str) -> str:
    """The name of its region, in English; "" when nothing is known.

    Takes seconds when it is first asked, to read all prefixes of the world: not for the reactor's thread.
    """
    from phonenumbers import geocoder

    try:
        return geocoder.description_for_valid_number(phonenumbers.parse(number), "en") or ""
    except phonenumbers.NumberParseException:
        return ""
