"""What is kept: the manifest, the folder storage, and the catalog of backups over any storage."""
