"""The PostgreSQL engine of Holdfast: one snapshot read in parallel, exact, and restorable anywhere."""
