"""Policies: the kinds, YAML with positions, checks, and the resolved set that the rest of Turnout reads."""
