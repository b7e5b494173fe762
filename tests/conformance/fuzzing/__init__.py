"""Random valid and damaged messages against a device, and what the oracle says of each answer.

`dice` draws, `making` makes what is valid, `faults` and `walking` damage it, `driving` sends it and compares, `machine`
is the Hypothesis state machine over all of it, `subjects` are the devices and pipelines that it is played with.
"""
