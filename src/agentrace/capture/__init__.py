"""Capture: what runs inside the user's call. It is quick, never raises, and changes nothing of a result."""
