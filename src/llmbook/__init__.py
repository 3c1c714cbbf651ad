"""llmbook: the code that the book *Language Models: from First Principles to the Economy* builds.

Imports point one way: ``config, device`` ← ``nn, tokenizers, plot`` ← ``models, datasets``
← ``generate, weights`` ← ``train, evaluate``. ``exercises`` and ``web`` stand beside them.
"""

from llmbook.device import pick_device, seed_everything

__version__ = "0.1.0"
__all__ = ["__version__", "pick_device", "seed_everything"]
