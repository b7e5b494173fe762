"""What `bench.device` is made of: the pipeline, the batches, the device as a process of its own."""
