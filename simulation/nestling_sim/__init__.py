"""The simulator: a fleet of real agents against a real cloud and broker, under scripted weather."""
