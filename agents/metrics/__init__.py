"""What agents have in common that tell figures: making them, and showing them to Prometheus and to probes."""
