"""Measurements against peers: `python -m benchmarks.NAME --json FILE`, each alternating A B A B."""
