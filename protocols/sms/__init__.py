"""SMS text: alphabets, encodings, parts and back (TS 23.038, TS 23.040). Pure functions."""

from protocols.sms.counting import Count, count
from protocols.sms.data_coding import Alphabet, Coding, Encoding, Indication, Waiting
from protocols.sms.decoding import Decoded, decode
from protocols.sms.errors import MAXIMUM_PARTS, NotEncodable, TooLong
from protocols.sms.header import Concatenation, Element, UserDataHeader
from protocols.sms.national import Language
from protocols.sms.options import DEFAULT, LongMessageMode, SegmentOptions
from protocols.sms.reassembly import Joined, Key, Message, Part, Reassembly, joined, key_of
from protocols.sms.rules import rules
from protocols.sms.segmentation import Segment, Segmented, segment, segment_binary
from protocols.sms.transliteration import Change, Transliteration

__all__ = [
    "DEFAULT",
    "MAXIMUM_PARTS",
    "Alphabet",
    "Change",
    "Coding",
    "Concatenation",
    "Count",
    "Decoded",
    "Element",
    "Encoding",
    "Indication",
    "Joined",
    "Key",
    "Language",
    "LongMessageMode",
    "Message",
    "NotEncodable",
    "Part",
    "Reassembly",
    "Segment",
    "SegmentOptions",
    "Segmented",
    "TooLong",
    "Transliteration",
    "UserDataHeader",
    "Waiting",
    "count",
    "decode",
    "joined",
    "key_of",
    "rules",
    "segment",
    "segment_binary",
]
