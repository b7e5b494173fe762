"""Packets that nodes forward, made and counted by BPF programs at either end of the way: see `turns`."""
