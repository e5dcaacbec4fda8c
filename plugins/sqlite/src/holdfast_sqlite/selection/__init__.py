"""What `--select` and `--exclude` mean: which tables stay (`choice`), and what of them refers to others (`references`).

Imports nothing: child processes need no more than these two.
"""
