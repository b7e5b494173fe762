"""What becomes of a packet, and of a service, told from the live tables of devices, by the interpreter."""
