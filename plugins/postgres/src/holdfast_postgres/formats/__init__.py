"""What pg_dump writes: archives, directories and scripts, read and rewritten exactly."""
