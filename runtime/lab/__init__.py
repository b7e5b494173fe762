"""`turnout lab`: nodes, DPUs, workloads and the network between DPUs as network namespaces of this machine.

From `topology` (what there is to build, pure) over `links` (the iproute2 commands, pure) to `building` (effects);
`state` is the record that makes a lab removable whenever its builder was killed.
"""
