"""How what operations tell is written for others to read: the text of a monitoring system, a page for people."""
