"""What a server has: databases, tables and their columns, every other definition, privileges and accounts."""
