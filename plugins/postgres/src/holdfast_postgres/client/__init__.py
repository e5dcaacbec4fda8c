"""PostgreSQL's client programs: which are there, and how they run."""
