"""A Kubernetes cluster as agents meet it: reaching the API server, asking it, and watching what there is."""
