"""Policies to table entries: what each device must hold so that its workloads reach the services they may reach."""
