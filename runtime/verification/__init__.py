"""The same packets through every level of truth: the interpreter, the printed C in the kernel, BMv2, and what differs.

A `vector` is entries, time and packets; a `level` runs it; a `comparison` runs several levels side by side. Needs the
extra `verify` (Scapy makes frames, Hypothesis makes vectors). Called by `turnout verify` and by tests.
"""
