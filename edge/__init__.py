"""The application: the SMS edge server. The only package that knows `protocols` and `storage`."""

__version__ = "0.1.0"
