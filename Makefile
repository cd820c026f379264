# Every command is one of make.py; `make help` lists them. ARGS="..." gives it options, PYTHON=... another Python.
PYTHON ?= $(or $(shell command -v python3 || command -v python),python3)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help book test check lint lab student grade otter hub hub-test pdf serve records pins versions links kit release here chapter clean

help book test check lint lab student grade otter hub hub-test pdf serve records pins versions links kit release here chapter clean:
	@"$(PYTHON)" make.py $@ $(ARGS)
