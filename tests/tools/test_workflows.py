"""The workflows: each step is a command of this project or a pinned action, and has few rights."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

import make
from tools import kit
from tools.toc import ROOT

FOLDER = ROOT / ".github" / "workflows"
WORKFLOWS = {path.stem: path for path in sorted(FOLDER.glob("*.yml"))}
PINNED = re.compile(r"[\w-]+/[\w-]+@[0-9a-f]{40}")
VERSIONED = re.compile(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
RUN = re.compile(r"(?:(\.ci/run)|(?:make|python make\.py) (\w+)(?: ARGS=(--\w+))?)")
WRITES = {("pages", "deploy"): {"pages", "id-token"}, ("release", "release"): {"contents"}}

each = pytest.mark.parametrize("name", WORKFLOWS)


def read(name: str) -> dict:
    """A workflow; YAML 1.1 takes its key `on` for a truth."""
    whole = yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))
    return {"on" if key is True else key: value for key, value in whole.items()}


def steps(name: str) -> list[dict]:
    return [step for job in read(name)["jobs"].values() for step in job["steps"]]


def test_there_are_four():
    assert set(WORKFLOWS) == {"ci", "pages", "release", "weekly"}


@each
def test_every_run_is_a_command_of_this_project(name: str):
    for step in steps(name):
        assert ("run" in step) != ("uses" in step)
        if "run" in step:
            script, command, _ = RUN.fullmatch(step["run"]).groups()
            assert script or command in make.COMMANDS
            assert not script or os.access(ROOT / script, os.X_OK)


@each
def test_every_action_is_pinned_by_its_commit(name: str):
    assert all(PINNED.fullmatch(step["uses"]) for step in steps(name) if "uses" in step)
    lines = [line for line in WORKFLOWS[name].read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines and all(VERSIONED.fullmatch(line.strip().removeprefix("- ")) for line in lines)


def test_an_action_has_one_commit_everywhere():
    used = {step["uses"].split("@")[0]: set() for name in WORKFLOWS for step in steps(name) if "uses" in step}
    for name in WORKFLOWS:
        for step in steps(name):
            if "uses" in step:
                used[step["uses"].split("@")[0]].add(step["uses"])
    assert all(len(versions) == 1 for versions in used.values())
    assert all(action.startswith("actions/") for action in used)


@each
def test_a_job_may_read_and_write_only_what_it_must(name: str):
    workflow = read(name)
    assert workflow["permissions"] == {} and "concurrency" in workflow
    for job_name, job in workflow["jobs"].items():
        assert job["timeout-minutes"] <= 120
        writes = {scope for scope, right in job["permissions"].items() if right == "write"}
        assert writes == WRITES.get((name, job_name), set())
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] is False


def test_the_token_is_given_to_the_last_step_of_a_release_only():
    *before, last = steps("release")
    assert "GH_TOKEN" in last["env"] and last["run"] == "make release ARGS=--publish"
    text = WORKFLOWS["release"].read_text(encoding="utf-8")
    assert text.count("github.token") == 1 and "secrets." not in text
    assert [step["run"] for step in before if "run" in step] == ["make release ARGS=--check", ".ci/run"]


def test_what_starts_them():
    assert read("release")["on"] == {"push": {"tags": ["v*"]}}
    assert read("pages")["on"]["push"] == {"branches": ["main"]}
    assert read("pages")["concurrency"] == {"group": "pages", "cancel-in-progress": False}
    assert set(read("ci")["on"]) == {"push", "pull_request"}
    assert set(read("weekly")["on"]) == {"schedule", "workflow_dispatch"}


def test_the_pages_are_those_of_the_book_with_the_kits_beside_them():
    [path] = [step["with"]["path"] for step in steps("pages") if "upload-pages" in step.get("uses", "")]
    assert ROOT / path == kit.SITE
    assert "make kit ARGS=--site" in [step.get("run") for step in steps("pages")]


# ------------------------------------------------------------------------- what programs of others say


def needs(found: bool, package: str) -> None:
    """Skip without a package of requirements.txt, but not where everything is installed."""
    if not found:
        pytest.fail(f"{package} is missing") if os.environ.get("CI") else pytest.skip(f"needs {package}")


SCHEMAS = {
    "github-workflows": list(WORKFLOWS.values()),
    "dependabot": [ROOT / ".github" / "dependabot.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}


def conforms(schema: str, paths: list[Path]):
    """What check-jsonschema says, without a new process each time."""
    needs(find_spec("check_jsonschema") is not None, "check-jsonschema")
    from check_jsonschema import main
    from click.testing import CliRunner

    return CliRunner().invoke(main, ["--builtin-schema", f"vendor.{schema}", *map(str, paths)])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_conform_to_their_schema(schema: str):
    done = conforms(schema, SCHEMAS[schema])
    assert done.exit_code == 0, done.output


def test_a_schema_finds_a_fault(tmp_path):
    wrong = tmp_path / "dependabot.yml"
    text = (ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8")
    wrong.write_text(text.replace("interval: weekly", "interval: now and then"), encoding="utf-8")
    done = conforms("dependabot", [wrong])
    assert done.exit_code == 1 and "now and then" in done.output


def zizmor(path: Path) -> subprocess.CompletedProcess:
    beside = Path(sys.executable).with_name("zizmor" + ".exe" * (os.name == "nt"))
    program = str(beside) if beside.is_file() else shutil.which("zizmor")
    needs(bool(program), "zizmor")
    command = [program, "--offline", "--quiet", "--no-config", "--persona=auditor", str(path)]
    return subprocess.run(command, capture_output=True, encoding="utf-8")


def test_zizmor_finds_nothing():
    done = zizmor(ROOT / ".github")
    assert done.returncode == 0, done.stdout + done.stderr


def test_zizmor_would_find_a_token_that_stays(tmp_path):
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    text = WORKFLOWS["ci"].read_text(encoding="utf-8")
    (folder / "ci.yml").write_text(
        text.replace("persist-credentials: false", "persist-credentials: true"), "utf-8"
    )
    assert "artipacked" in zizmor(tmp_path / ".github").stdout
