"""The pure half of Turnout: policies in, a pipeline and its table entries out. No root, no network, no clock."""
