"""From good frames to bad ones: a fault is a pure function of a frame and a case number; `catalogue` has them all."""
