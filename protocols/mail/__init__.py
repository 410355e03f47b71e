"""E-mail as a way to answer an SMS: the reply token, what no person wrote, the words of what one did."""
