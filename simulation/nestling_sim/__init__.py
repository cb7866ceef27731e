"""The simulator: runs real agents, a real cloud and a real broker under scripted conditions."""
