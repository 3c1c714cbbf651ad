"""llmbook: the code that the book *Language Models: from First Principles to the Economy* builds.

Imports point one way; CONTRIBUTING.md lists the order, and a test holds it.
"""

from llmbook.device import pick_device, seed_everything

__version__ = "0.1.0"
__all__ = ["__version__", "pick_device", "seed_everything"]
