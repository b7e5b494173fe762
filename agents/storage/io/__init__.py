"""All that touches files, sockets and mounts."""
