"""A database as SQL text: written by a child process (`writer`), loaded by a restore (`loader`).

Imports nothing: child processes need `writer` alone.
"""
