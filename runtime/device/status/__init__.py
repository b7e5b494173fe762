"""What a device tells of itself: the messages, and how they are made."""
