"""One file for each library that agentrace knows: its name is the module it watches for."""
