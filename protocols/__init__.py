"""Wire protocols without I/O: octets and times come in as arguments, octets and events go out."""
