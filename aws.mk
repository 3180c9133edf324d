# AWS: build, deploy, check the template, and run the end-to-end test against a local emulator.

export SAM_CLI_TELEMETRY := 0
SAM := .venv-sam/bin/sam

# A real python3.13: SAM builds the layer with it, and the emulator runs the functions with it. The shim of pyenv works
# only if that version is selected, so the folders of pyenv are searched too.
PYTHON313 ?= $(shell found="$$(command -v python3.13)"; for path in "$$found" "$${found%/shims/*}"/versions/3.13*/bin/python3.13 \
  "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.13*/bin/python3.13; do "$$path" -c "" 2>/dev/null && echo "$$path" && break; done)
SAM_PATH = PATH="$(dir $(PYTHON313)):$$PATH"

.PHONY: python3.13
python3.13:
	@test -n "$(PYTHON313)" || { echo "The functions run on python3.13, which was not found. Install it with \`pyenv install 3.13\`," \
	  "\`uv python install 3.13\` or your system's package manager, or give its path: make PYTHON313=/path/to/python3.13" >&2; exit 1; }

.venv-sam/.done: requirements/sam.txt
	$(PYTHON) -m venv .venv-sam
	.venv-sam/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	@touch $@

.venv-aws/.done: tests/e2e/requirements-aws.txt | python3.13
	$(PYTHON313) -m venv .venv-aws
	.venv-aws/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

.venv-checkov/.done: tests/e2e/requirements-checkov.txt
	$(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Large modules that no function imports: a web framework, parsers of other events, the command line of the package.
UNUSED := aws_lambda_powertools/event_handler aws_lambda_powertools/utilities/data_classes \
  aws_lambda_powertools/utilities/parser wabawatch/cli wabawatch/simulator wabawatch/__main__.py *.data
BUILT ?= .aws-sam/build

# Architecture to build for: by default that of the deployed functions.
ARCHITECTURE ?= $(patsubst Architecture=%,%,$(filter Architecture=%,$(PARAMETERS)))

# SAM's builder requests wheels of another platform from pip by name and version, without hashes. So the wheels are
# downloaded first, with hashes, for this machine and for both architectures, and the builder can use no others.
WHEELS = $(CURDIR)/.aws-sam/wheels
FETCH = $(PYTHON313) -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: --no-deps \
  --dest $(WHEELS) -r layers/core/requirements.txt

$(WHEELS)/.done: layers/core/requirements.txt | python3.13
	rm -rf $(WHEELS)
	$(FETCH)
	for machine in aarch64 x86_64; do $(FETCH) --python-version 3.13 --implementation cp \
	  --platform manylinux_2_28_$$machine --platform manylinux2014_$$machine || exit 1; done
	@touch $@

# A function can't write to its code folder, so without bytecode every cold start would compile everything. The bytecode
# is not validated against the time of the source file, because SAM's archives change these times.
.PHONY: build
build: .venv-sam/.done $(WHEELS)/.done | python3.13 ## Build the functions and the layer for AWS into .aws-sam
	PIP_NO_INDEX=1 PIP_FIND_LINKS=$(WHEELS) $(SAM_PATH) $(SAM) build --build-dir $(BUILT) $(if $(ARCHITECTURE),--parameter-overrides Architecture=$(ARCHITECTURE))
	cd $(BUILT)/CoreLayer/python && rm -rf $(UNUSED)
	$(PYTHON313) -m compileall -q --invalidation-mode unchecked-hash $(BUILT)
	$(PYTHON313) tools/artefact.py $(BUILT) $(or $(ARCHITECTURE),arm64)

GIVEN = $(if $(SECRET),ApiKeySecret=$(SECRET)) $(if $(EMAIL),AlertEmail=$(EMAIL)) $(if $(SLACK),SlackWebhookSecret=$(SLACK)) \
  $(if $(HEARTBEAT),HeartbeatSecret=$(HEARTBEAT)) \
  $(filter-out Architecture=%,$(PARAMETERS))
DEPLOYMENT = $(BIN)/python tools/deployment.py
ENVIRONMENT = --env $(or $(ENV),default)
DEPLOYED = $(or $(ARTEFACT),$(BUILT))
# A variable, because `make -n` executes each line that contains $(MAKE).
AGAIN = $(MAKE) --no-print-directory

# Build and deploy; with ARTEFACT=folder, deploy an earlier build. SAM keeps earlier values of parameters, so the
# architecture is always given: libraries for another processor would fail at every start.
.PHONY: deploy
deploy: .venv-sam/.done .venv/.run ## Deploy: make deploy SECRET=name-of-secret EMAIL=you@example.com [SLACK=name-of-secret] [HEARTBEAT=name-of-secret] [PARAMETERS="PollEvery=1m …"] [ENV=prod]
	@set -e; architecture="$$($(DEPLOYMENT) architecture $(ENVIRONMENT) $(if $(ARCHITECTURE),--wanted $(ARCHITECTURE)))"; \
	$(if $(ARTEFACT),,$(AGAIN) build ARCHITECTURE="$$architecture";) \
	$(BIN)/python tools/artefact.py $(DEPLOYED) "$$architecture"; \
	$(DEPLOYMENT) prepare $(ENVIRONMENT) --built $(DEPLOYED)/template.yaml $(if $(TABLE),--table $(TABLE)) $(if $(BUCKET),--bucket $(BUCKET)); \
	$(SAM) deploy --config-file $(CURDIR)/samconfig.toml --config-env $(or $(ENV),default) --template-file $(DEPLOYED)/template.yaml \
	  --parameter-overrides Architecture="$$architecture" $(GIVEN); \
	$(DEPLOYMENT) protect $(ENVIRONMENT)

# GovCloud and China lack some properties, new regions some resources.
REGIONS := us-east-1 us-west-2 eu-central-1 eu-central-2 ap-southeast-5 mx-central-1 us-gov-west-1 us-gov-east-1 cn-north-1 cn-northwest-1

.PHONY: template
template: .venv-sam/.done .venv-checkov/.done ## Check the template: valid, linted for ten regions, secure
	$(SAM) validate --region eu-central-1
	.venv-sam/bin/cfn-lint --regions $(REGIONS) -- template.yaml
	.venv-checkov/bin/checkov --framework cloudformation --compact --quiet --skip-download -f template.yaml

.PHONY: e2e
e2e: .venv/.dev .venv-sam/.done .venv-aws/.done ## Deploy to a local AWS emulator and run the schedules end to end
	PYTHON313="$(PYTHON313)" $(BIN)/pytest -m e2e -p no:xdist --exitfirst tests/e2e
