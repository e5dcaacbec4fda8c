"""Plugins: the hooks, what plugins offer, and the one place that finds and calls them."""
