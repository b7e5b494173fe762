"""C for tc and XDP, printed from a pipeline: views turn IR into ready strings, templates in ebpf/ print them."""
