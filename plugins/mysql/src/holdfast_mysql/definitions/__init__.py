"""SQL text of definitions: kept in scripts, taken apart into tokens, and made to fit another name or server."""
