"""How bytes flow: threads that end together, blocks that are compressed side by side, frames that are decoded."""
