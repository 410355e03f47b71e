"""The API of VoIP.ms at its address, `/api/v1/rest.php`, so that programs made for it work here.

`rest` is the frame (parameters, who calls, the answer), `methods` the table of what can be called; each
module beside them has the methods of one subject. What the provider's clients rely on is in docs/voipms.md.
"""
