"""What `bench.kubeproxy` is made of: a cluster's control plane, kube-proxies, Turnout's side, what is asked of them."""
