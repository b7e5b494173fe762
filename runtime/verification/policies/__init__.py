"""Made-up policies: a plan of few numbers, its YAML, what must be said of it, and mistakes to put in."""
