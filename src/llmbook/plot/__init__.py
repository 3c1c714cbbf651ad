"""The book's figures. Each function takes ``ax=None``, returns the Axes, and never shows.

Importing this module applies the one style sheet, `llmbook.mplstyle`, and lets figures speak the
chosen language (see `words`).
"""

from pathlib import Path

import matplotlib.pyplot as plt

from llmbook.plot import words
from llmbook.plot.charts import loss_curve, next_token_bars
from llmbook.plot.maps import attention_map
from llmbook.plot.timeline import timeline

words.prepare()
plt.style.use(str(Path(__file__).with_name("llmbook.mplstyle")))

__all__ = ["attention_map", "loss_curve", "next_token_bars", "timeline"]
