"""E-mail as a way to answer an SMS: the reply token, what is no person's answer, and the words of one that is."""
