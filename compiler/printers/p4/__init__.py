"""P4_16 of a pipeline, for v1model (BMv2) and for PNA. `printing` is the way in; templates are in p4/."""
