"""The promises of the README as measurements: ``python -m benchmarks``; what each is stands in docs/benchmarks.md."""
