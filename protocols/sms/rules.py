"""The rules of counting as data, for a counter that runs elsewhere, as in a browser while somebody types.

`rules` is all that such a counter needs to give what `count` gives. It works like this:

1. A character in `basic` costs one unit, one in `extension` two; when all are there, `sizes.gsm7` holds.
   Upstreams of octets have `highest` instead: all code points up to it cost one unit, in `sizes.octets`.
2. Else the text is UCS-2: two units for code points above FFFF, one for the others; `sizes.ucs2` holds.
3. A text of at most `single` units is one part. Else parts are filled with `part` units each, and a character
   that does not fit whole goes to the next part. Grapheme clusters are kept whole: where a part's end falls
   into one, it moves to the cluster's start if the parts do not become more for it; or always, if
   `strict_clusters`, but never to the part's own start.
   With `marks`, each part begins with one: of the first of them whose `parts` are enough, `units` are taken
   from what `part` has room for.
   A text whose parts are more than `maximum_parts` already without this is too long as it is.
4. `maximum_parts` is the limit. With `one_part`, what is sent is always one part, though the limit holds.

Half of a surrogate pair is no text and cannot be counted. Which characters are a cluster is a matter of the
Unicode version: a counter with another one than the server's may differ by a few units at such a place.

Transliteration, national tables and packed septets have rules that do not fit in a few lines; `exact` is
False for such a route, and its counter has to ask.
"""

from protocols.sms.alphabet import BASIC, ESCAPE, EXTENSION
from protocols.sms.data_coding import Alphabet
from protocols.sms.errors import MAXIMUM_PARTS
from protocols.sms.marks import LIMITS
from protocols.sms.options import (
    DEFAULT,
    LongMessageMode,
    SegmentOptions,
    octets_beside,
    septets_beside,
)
from protocols.sms.transliteration import Transliteration

VERSION = 1


def rules(options: SegmentOptions = DEFAULT) -> dict[str, object]:
    """The rule set of a route, of JSON's types only."""
    scheme = options.scheme
    sizes = {"ucs2": {"single": octets_beside(0) // 2, "part": scheme.ucs2 // 2}}
    found: dict[str, object] = {
        "version": VERSION,
        "exact": not (options.languages or scheme.packed or options.transliterate is not Transliteration.OFF),
        "maximum_parts": MAXIMUM_PARTS,
        "one_part": options.mode is LongMessageMode.PAYLOAD,
        "strict_clusters": options.strict_clusters,
        "marks": (
            [{"parts": limit, "units": len(widest)} for limit, widest in LIMITS]
            if options.mode is LongMessageMode.SEPARATE
            else []
        ),
        "sizes": sizes,
    }
    if scheme.gsm:
        sizes["gsm7"] = {"single": septets_beside(0), "part": scheme.septets}
        found["basic"] = BASIC.replace(chr(ESCAPE), "")
        found["extension"] = "".join(EXTENSION.values())
        return found
    ascii_ = options.default_alphabet is Alphabet.ASCII
    beside = septets_beside if ascii_ else octets_beside
    sizes["octets"] = {"single": beside(0), "part": beside(scheme.concatenation)}
    found["encoding"] = "ASCII" if ascii_ else "LATIN1"
    found["highest"] = 0x7F if ascii_ else 0xFF
    return found
