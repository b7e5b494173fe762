"""Proving policies: what they promise, the traffic that tries it, and a counter-example told in few steps."""
