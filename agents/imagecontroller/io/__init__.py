"""The API server: requests, lists and watches, the lease of the one that leads."""
