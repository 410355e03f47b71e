"""What may be sent, by whom, how much; and how numbers are written."""
