"""What `bench.traffic` sends real packets with: a lab, plain namespaces to compare with, and programs."""
