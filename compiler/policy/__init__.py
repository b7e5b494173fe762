"""Policies: the kinds, YAML with positions, checks, and the resolved set that the rest of Turnout reads."""

from compiler.policy.identity import workload_mac
from compiler.policy.loading import Loaded, load, load_text, load_texts
from compiler.policy.policyset import PolicySet

__all__ = ["Loaded", "PolicySet", "load", "load_text", "load_texts", "workload_mac"]
