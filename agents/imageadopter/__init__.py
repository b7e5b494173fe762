"""Images of a cluster that another node has converted: recorded on this one, by itself."""
