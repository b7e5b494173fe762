"""The shared proxy of a network on a DPU: what stands in front of it, what it is told, and that it is kept running."""
