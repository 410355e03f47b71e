"""E-mail, both ways: mails of SMS on their way to the DIDs' owners, and the owners' replies back."""
