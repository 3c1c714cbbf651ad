"""Interactive components: Python builders that return what a notebook cell shows.

Each builder checks its input, keeps it as integers and draws a static picture or table; a small
script of the project's own (``js/NAME.js``) makes it interactive, in JupyterLab and on the site.
"""

from llmbook.web.attention import attention_explorer
from llmbook.web.chart import chart_player
from llmbook.web.component import Component
from llmbook.web.descent import descent_explorer
from llmbook.web.graph import graph_player
from llmbook.web.modelmap import model_explorer
from llmbook.web.museum import error_museum
from llmbook.web.quiz import quiz
from llmbook.web.roofline import roofline_explorer
from llmbook.web.selfcheck import self_check
from llmbook.web.shannon import shannon_bounds, shannon_game
from llmbook.web.softmax import softmax_dictionary
from llmbook.web.steps import step_generator
from llmbook.web.temperature import next_token_context, temperature_explorer
from llmbook.web.tiling import tiling_player
from llmbook.web.timemachine import time_machine
from llmbook.web.tokens import tokenizer_playground
from llmbook.web.wordmap import word_map

__all__ = [
    "Component",
    "attention_explorer",
    "chart_player",
    "descent_explorer",
    "error_museum",
    "graph_player",
    "model_explorer",
    "next_token_context",
    "quiz",
    "roofline_explorer",
    "self_check",
    "shannon_bounds",
    "shannon_game",
    "softmax_dictionary",
    "step_generator",
    "temperature_explorer",
    "tiling_player",
    "time_machine",
    "tokenizer_playground",
    "word_map",
]
