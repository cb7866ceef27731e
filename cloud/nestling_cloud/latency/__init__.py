"""What a student takes on a machine: probes to measure there, and a model fitted on them."""
