"""tbd tbd tbd."""
