"""The kernel target: pipelines as eBPF on the ports of this machine.

`target` starts and stops it, `ports` and `links` know the interfaces, `dispatcher` is the fixed program on each port,
`instance` one loaded pipeline with its `tablemaps`, `selectormaps`, `countermaps` and `stores`. Bytes of keys and
values are `compiler.printers.layout`'s affair.
"""
