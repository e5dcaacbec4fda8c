"""How bytes flow: threads that end together, blocks that are compressed in parallel, frames that are decoded."""
