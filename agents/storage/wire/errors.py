"""What is wrong with an image or with the place it comes from, in words for a user."""

from __future__ import annotations


class ImageError(Exception):
    """An image that cannot be converted, or a place that does not answer as it should. The text says what and where."""


class TarError(ImageError):
    """A layer that is no tar archive, or one that containerd would not unpack either."""
