"""The store: tables, records, engines and the one writer. Knows nothing of protocols or of the application.

Every time is an integer of milliseconds since the Unix epoch (UTC); every id comes from `storage.ids`.
"""
