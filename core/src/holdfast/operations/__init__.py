"""One verb each, over the floors below."""
