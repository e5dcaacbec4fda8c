"""Connections to a server: what it is, what it is asked, and what its errors mean."""
