"""The proof of a backup: rows and definitions as digests that a restored copy is compared by."""
