"""A model of the P4Runtime specification 1.5.0, for one device: what may be answered, and what is there afterwards.

Written from the specification's text alone; it knows P4Info and P4Runtime messages and nothing of the device. For each
update it gives the set of acceptable canonical codes: one where the specification demands it, several where it leaves a
choice, where two of its sections differ, or where a message has more than one fault. `Oracle` is the whole of it.
"""
