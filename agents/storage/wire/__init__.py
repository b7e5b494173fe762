"""What others write and read: OCI image types, image names, tar."""
