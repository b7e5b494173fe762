"""Container images as volumes: `wire` (OCI types, tar), `translate` (pure), `io` (files, sockets), `conversion`."""
