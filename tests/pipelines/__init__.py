"""Small pipelines, each with one part of what the IR can say, for tests on all targets."""
