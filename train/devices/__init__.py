"""The mesh of devices, shardings, processes, and preemption."""
