"""The P4Runtime server of one device, over a target: the kernel (eBPF) or the model (the interpreter).

See docs/device.md. From the wire inwards: `server` (sockets), `service` (RPCs), `arbitration` (who may write),
`configs` (pipelines), `updates` and `reads` (Write and Read), `schema` and the codecs (messages to
`compiler.ir.entries` and back), `contents` (what the controllers wrote, and the rules of it), `target` (what a target
is asked for).
"""
