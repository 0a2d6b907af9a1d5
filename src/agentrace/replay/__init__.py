"""Replay: the program runs again and its boundary calls are answered from a record."""
