"""SMS text: alphabets, encodings, parts and back (TS 23.038, TS 23.040). Pure functions on octets and text."""

from protocols.sms.counting import Count, count
from protocols.sms.data_coding import Alphabet, Coding, Encoding, Indication, Waiting
from protocols.sms.decoding import Decoded, decode
from protocols.sms.errors import MAXIMUM_PARTS, NotEncodable, TooLong
from protocols.sms.header import Concatenation, Element, UserDataHeader
from protocols.sms.options import DEFAULT, LongMessageMode, SegmentOptions
from protocols.sms.segmentation import Segment, Segmented, segment

__all__ = [
    "DEFAULT",
    "MAXIMUM_PARTS",
    "Alphabet",
    "Coding",
    "Concatenation",
    "Count",
    "Decoded",
    "Element",
    "Encoding",
    "Indication",
    "LongMessageMode",
    "NotEncodable",
    "Segment",
    "SegmentOptions",
    "Segmented",
    "TooLong",
    "UserDataHeader",
    "Waiting",
    "count",
    "decode",
    "segment",
]
