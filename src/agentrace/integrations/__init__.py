"""Integrations: how the libraries that reach models, tools and retrievers are intercepted, one file each."""
