"""Long-running processes; each knows only its own world."""
