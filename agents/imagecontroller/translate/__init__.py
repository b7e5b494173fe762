"""What is to be done and said, from what there is. No sockets, no clock."""
