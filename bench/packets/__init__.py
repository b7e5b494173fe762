"""What `bench.packet_cost` puts through the printed pipeline, and the harness it does so with."""
