"""The controller of ImageConversions in a Kubernetes cluster: Jobs that convert, one at a time a node."""
