"""Pure: layers to trees, trees to file system images. No files, no sockets, no clock."""
