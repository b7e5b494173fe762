"""The BPF side of a device: compiling C to an ELF, loading it, maps, attaching, test runs. See docs/bpf.md."""
