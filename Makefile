# Everything here works on a fresh checkout with Python 3.11 or newer and make; `make help` lists it.

# The first Python on the PATH that is new enough; or name one: make book PYTHON=/path/to/python3.12
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
BOOK := _build/html/index.html
PAGES := _build/pages

# What the pages are made from: the code that their figures run, recorded runs, and everything in book/.
CODE := $(shell find regkit regbook -type f -not -path '*/__pycache__/*')
SOURCES := $(shell find book -type f -not -path '*/.*' -not -path '*/__pycache__/*')
NOTEBOOKS = $(shell $(PY) tools/toc.py --notebooks)

# Most arrays of the book are small: more threads than one cost time there, above all on a busy computer.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help book test lab serve lint pins clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

book: $(PAGES)  ## Build the book into _build/html (executes the notebooks that changed)
	@echo "The book: $(CURDIR)/$(BOOK)"

test: $(PAGES)  ## Build the book and check everything: package, notebooks, pages in a browser
	@CHROMIUM="$$($(PY) tools/chromium.py)" && export CHROMIUM && \
	$(PY) -m pytest -n 2 --dist loadfile --nbval-lax tests $(NOTEBOOKS) \
	&& echo "make test: everything passed" || { echo "make test: FAILED, see above"; exit 1; }

lab: $(VENV)/installed  ## Open the notebooks in JupyterLab
	$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/book \
		--LabApp.news_url=None --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate

serve: $(PAGES)  ## Serve the built book on this computer, at http://localhost:8000
	$(PY) -m http.server --bind 127.0.0.1 --directory _build/html 8000

lint: $(VENV)/installed  ## Check the style of the code
	$(BIN)/ruff check .

pins:  ## Fit requirements.txt to pyproject.toml anew; ARGS=--upgrade takes the newest of everything
	$(PYTHON) tools/pins.py $(ARGS)

clean:  ## Remove what the other commands made
	rm -rf _build $(VENV) regkit.egg-info .pytest_cache .ruff_cache

$(VENV)/installed: requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none is on the PATH;"; \
		echo "if you have one elsewhere, name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@test -x $(PY) || { echo "Making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv $(VENV); }
	@echo "Installing the pinned packages (a few minutes the first time)"
	$(PY) -m pip install --progress-bar on -r requirements.txt
	$(PY) -m pip install --quiet --no-deps --editable .
	@touch $@

# A change in the code can change every figure, and neither the cache of executed notebooks nor Sphinx
# would notice it: so both forget everything.
_build/code: $(CODE) requirements.txt
	@mkdir -p _build && rm -rf _build/.jupyter_cache _build/jupyter_execute _build/.doctrees _build/html
	@touch $@

$(PAGES): $(VENV)/installed _build/code _config.yml _toc.yml tools/book_pages.py tools/execute.py $(SOURCES)
	@echo "Building the book: notebooks that changed are executed first, a minute or less each"
	$(PY) tools/execute.py
	$(BIN)/jupyter-book build . -W -n --keep-going || { rm -rf _build/.doctrees; \
		echo "A page has a fault, see above; the pages are in _build/html all the same."; exit 1; }
	@touch $@
