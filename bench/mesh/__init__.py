"""Redirects to a proxy, by Turnout and by what Linux has for it, and what their rules cost (`bench.redirects`)."""
