"""Jobs: what `holdfast.toml` says is to be backed up how often, and who does that."""
