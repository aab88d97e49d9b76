"""What cannot run here is at least read: the workflows and the images that serve; the order of a release."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from nox.project import load_toml
from packaging.requirements import Requirement

from llada_server.given import PREFIX
from llada_server.settings import ServerSettings
from tests.server.apps import scripted_server

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
IMAGES = sorted((ROOT / "docker").glob("*.Dockerfile"))
PACKAGES = sorted(path.parent.name for path in ROOT.glob("packages/*/pyproject.toml"))

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
each_image = pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.name)


@pytest.fixture(scope="module")
def nox_file() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nox_file", ROOT / "noxfile.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tools() -> Iterator[dict[str, ModuleType]]:
    """The modules of tools/, which import each other by names that are not for the tests of others."""
    loaded = {}
    for name in ("packages", "release_check"):  # each imports those before it
        spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
        assert spec
        assert spec.loader
        loaded[name] = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded[name])
    yield loaded
    for name in loaded:
        del sys.modules[name]


def workflow(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return found


def steps(read: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of all jobs but the ones that are another workflow."""
    return [step for job in read["jobs"].values() if "uses" not in job for step in job["steps"]]


@each_workflow
def test_a_workflow_can_be_read(path: Path) -> None:
    read = workflow(path.name)
    assert set(read) <= {"name", True, "permissions", "concurrency", "env", "jobs"}  # YAML reads `on` as true
    for name, job in read["jobs"].items():
        assert ("uses" in job) != ({"runs-on", "timeout-minutes", "steps"} <= set(job)), name
        assert needs(job) <= set(read["jobs"]), name
        for step in job.get("steps", []):
            assert ("uses" in step) != ("run" in step), step


def needs(job: dict[str, Any]) -> set[str]:
    """The jobs that a job waits for."""
    needed = job.get("needs", [])
    return {needed} if isinstance(needed, str) else {*needed}


def test_a_job_needs_what_it_names_alone_or_in_a_list() -> None:
    assert needs({}) == set()
    assert needs({"needs": "one"}) == {"one"}
    assert needs({"needs": ["one", "two"]}) == {"one", "two"}


@each_workflow
def test_a_workflow_that_another_one_is_can_be_called(path: Path) -> None:
    for job in workflow(path.name)["jobs"].values():
        if "uses" in job:
            called = workflow(job["uses"].removeprefix("./.github/workflows/"))
            assert "workflow_call" in called[True]
            assert called["permissions"] == job["permissions"]


@each_workflow
def test_a_workflow_uses_no_secret_and_no_expression_in_a_command(path: Path) -> None:
    assert "secrets" not in re.sub(r"#.*", "", path.read_text())
    for step in steps(workflow(path.name)):
        assert "${{" not in step.get("run", ""), "give it by env:, so that no name of a branch is a command"


@each_workflow
def test_actions_are_pinned_to_commits_with_their_version(path: Path) -> None:
    uses = re.findall(r"uses: (.*)$", path.read_text(), flags=re.MULTILINE)
    for line in uses:
        if line.startswith("./.github/workflows/"):  # of the same commit
            continue
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+(\.\d+)*", line), line


@each_workflow
def test_rights_are_given_job_by_job(path: Path) -> None:
    read = workflow(path.name)
    assert read["permissions"] in ({}, {"contents": "read"})
    allowed = {"contents": {"read"}, "id-token": {"write"}, "pages": {"write"}}
    for job in read["jobs"].values():
        for right, level in job.get("permissions", {}).items():
            assert level in allowed[right]
    for step in steps(read):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@each_workflow
def test_what_a_workflow_runs_exists(path: Path) -> None:
    sessions = re.findall(r"^def (\w+)\(session: nox", (ROOT / "noxfile.py").read_text(), flags=re.MULTILINE)
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    read = workflow(path.name)
    commands = [step["run"] for step in steps(read) if "run" in step]
    named = [name for command in commands for name in re.findall(r"nox -s (\w+)", command)]
    named += read["jobs"].get("checks", {}).get("strategy", {}).get("matrix", {}).get("session", [])
    assert set(named) <= set(sessions)
    assert {name for command in commands for name in re.findall(r"^make ([\w-]+)", command)} <= set(targets)


def test_ci_runs_what_a_change_must_pass_and_the_versions_of_python() -> None:
    jobs = workflow("ci.yml")["jobs"]
    versions = jobs["tests"]["strategy"]["matrix"]["python"]
    assert versions == ["3.11", "3.12", "3.13", "3.14"]
    for name in PACKAGES:
        assert project(name)["requires-python"] == f">={versions[0]}"
    (line,) = re.findall(r"nox --sessions (.*?) </dev/null", (ROOT / ".ci" / "run").read_text())
    checks = set(jobs["checks"]["strategy"]["matrix"]["session"])
    assert set(line.split()) <= checks
    assert {"examples", "release_check", "template"} <= checks


def test_tests_of_a_wheel_import_none_that_stay_behind(nox_file: ModuleType) -> None:
    for plugin in nox_file.PLUGINS:
        taken = {"support", plugin.removeprefix("llada-"), *nox_file.MORE_TESTS.get(plugin, [])}
        files = [path for folder in taken for path in (ROOT / "tests" / folder).rglob("*.py")]
        assert files
        for path in files:
            imported = re.findall(r"^from tests\.(\w+)", path.read_text(), flags=re.MULTILINE)
            assert set(imported) <= taken, path


def test_some_tests_of_every_wheel_are_run_on_it_alone(nox_file: ModuleType) -> None:
    for plugin in nox_file.PLUGINS:
        files = (ROOT / "tests" / plugin.removeprefix("llada-")).glob("test_*.py")
        assert any("pytest.mark.alone" in path.read_text() for path in files), plugin


def project(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load_toml(ROOT / "packages" / name / "pyproject.toml")["project"]
    return found


def test_a_release_publishes_every_package_after_those_that_it_needs(tools: dict[str, ModuleType]) -> None:
    jobs = workflow("release.yml")["jobs"]
    order = tools["packages"].in_order(tools["packages"].projects())
    assert [name for name in jobs if name not in ("main", "tests", "build", "approve")] == order
    for before, name in zip(["approve", *order], order, strict=False):
        assert jobs[name]["needs"] == before
        assert jobs[name]["env"] == {"PACKAGE": name}
        assert jobs[name]["environment"] == {"name": "pypi"}
        assert jobs[name]["permissions"] == {"id-token": "write"}
        *_, upload = jobs[name]["steps"]
        assert upload["uses"].startswith("pypa/gh-action-pypi-publish@")
        assert upload["with"] == {"packages-dir": "dist/${{ env.PACKAGE }}", "attestations": True}
    assert jobs["approve"]["needs"] == "build"
    assert "permissions" not in jobs["approve"]


def test_nothing_is_published_that_is_not_on_main_and_has_not_passed_what_a_change_must_pass() -> None:
    jobs = workflow("release.yml")["jobs"]
    assert jobs["tests"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["tests"]["needs"] == "main"
    assert jobs["build"]["needs"] == "tests"
    assert not any("if" in job or "continue-on-error" in job for job in jobs.values())


def test_a_tag_that_is_not_on_main_releases_nothing(tmp_path: Path) -> None:
    *_, step = workflow("release.yml")["jobs"]["main"]["steps"]

    def git(*arguments: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True)

    def check() -> subprocess.CompletedProcess[str]:
        command = ["bash", "-e", "-c", step["run"]]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env={**os.environ, "GITHUB_REF_NAME": "v1.0.0"},
            capture_output=True,
            text=True,
        )

    git("init", "--quiet")
    git("commit", "--allow-empty", "--message", "one")
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    assert check().returncode == 0
    git("commit", "--allow-empty", "--message", "beside main")
    refused = check()
    assert refused.returncode == 1
    assert "v1.0.0 is not on main" in refused.stdout
    git("update-ref", "refs/remotes/origin/main", "HEAD")
    git("checkout", "--quiet", "HEAD~1")
    assert check().returncode == 0, "an earlier commit of main is on it"


def test_only_a_tag_of_a_version_releases() -> None:
    assert workflow("release.yml")[True] == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    build = next(
        step["run"] for step in steps(workflow("release.yml")) if "release_check" in step.get("run", "")
    )
    assert build.endswith('--out dist --tag "$GITHUB_REF_NAME"')


def test_a_package_that_is_used_by_its_private_modules_has_an_upper_bound() -> None:
    (needed,) = [each for each in project("llada-eval")["dependencies"] if each.startswith("lm-eval")]
    allowed = Requirement(needed).specifier
    assert "0.4.13" in allowed
    assert "0.5.0" not in allowed


def test_the_order_puts_each_package_behind_those_that_it_requires(tools: dict[str, ModuleType]) -> None:
    order = tools["packages"].in_order(tools["packages"].projects())
    assert sorted(order) == PACKAGES
    for name in order:
        required = {Requirement(line).name for line in project(name)["dependencies"]} & set(PACKAGES)
        assert required <= set(order[: order.index(name)])


def test_packages_that_need_each_other_have_no_order(tools: dict[str, ModuleType]) -> None:
    circle = {"a": {"dependencies": ["b"]}, "b": {"dependencies": ["a>=1"]}}
    with pytest.raises(ValueError, match="cycle"):
        tools["packages"].in_order(circle)


def test_a_tag_of_another_version_is_refused(tools: dict[str, ModuleType]) -> None:
    check = tools["release_check"].check_version
    check(f"v{project('llada-core')['version']}")
    with pytest.raises(SystemExit, match=r"the tag v9\.9\.9 is not v"):
        check("v9.9.9")


def test_a_place_for_the_archives_that_cannot_be_written_is_refused_before_they_are_built(
    tools: dict[str, ModuleType], tmp_path: Path
) -> None:
    check = tools["release_check"].check_out
    check(None)
    check(tmp_path / "new" / "dist")
    assert list((tmp_path / "new" / "dist").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"--out .*file cannot be written \(File exists\); give another"):
        check(tmp_path / "file")


def test_what_nox_knows_of_the_packages_is_what_a_release_does(
    nox_file: ModuleType, tools: dict[str, ModuleType]
) -> None:
    assert tools["packages"].projects() == nox_file.PROJECTS


def test_a_source_distribution_that_makes_another_wheel_is_refused(
    tools: dict[str, ModuleType], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*arguments: str, **_: object) -> None:
        wheel(
            Path(arguments[arguments.index("--outdir") + 1]) / "a-1-py3-none-any.whl",
            {"a.py": "1", "b.py": ""},
        )

    monkeypatch.setattr(tools["release_check"], "run", make)
    (tmp_path / "a-1").mkdir()
    with tarfile.open(tmp_path / "a-1.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "a-1", "a-1")
    check = tools["release_check"].check_rebuilt
    same = wheel(tmp_path / "same.whl", {"a.py": "1", "b.py": ""})
    check("a", tmp_path / "a-1.tar.gz", same, tmp_path / "one")
    other = wheel(tmp_path / "other.whl", {"a.py": "2", "c.py": ""})
    with pytest.raises(SystemExit, match=r"differs in \['a.py', 'b.py', 'c.py'\]"):
        check("a", tmp_path / "a-1.tar.gz", other, tmp_path / "two")


def wheel(path: Path, files: dict[str, str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def pythons_of_the_guide() -> set[str]:
    """The versions of Python that the guide calls tested."""
    section = (ROOT / "docs" / "install.md").read_text().partition("\n## What is tested\n")[2].strip()
    return set(re.findall(r"3\.\d+", section.partition(" on Linux")[0]))


def test_classifiers_and_images_name_the_versions_of_python_that_the_guide_calls_tested() -> None:
    tested = pythons_of_the_guide()
    assert tested
    assert tested <= {*workflow("ci.yml")["jobs"]["tests"]["strategy"]["matrix"]["python"]}
    for name in PACKAGES:
        assert set(re.findall(r":: (3\.\d+)", "\n".join(project(name)["classifiers"]))) == tested
    for image in IMAGES:
        assert set(re.findall(r"^FROM python:(3\.\d+)\.", image.read_text(), flags=re.MULTILINE)) <= tested


def instructions(image: Path) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", image.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [(words[0], " ".join(words[1:])) for line in text.splitlines() if (words := line.split())]


@each_image
def test_an_image_is_pinned_and_runs_as_nobody_in_particular(image: Path) -> None:
    told = instructions(image)
    for base in [text for name, text in told if name == "FROM"]:
        assert re.match(r"python:3\.\d+\.\d+-slim-\w+( AS \w+)?$", base), base
    last = [name for name, _ in told].index("FROM", 1)
    (user,) = [text for name, text in told[last:] if name == "USER"]
    assert int(user) > 0
    assert not any(name == "ADD" for name, _ in told)
    for name, text in told:
        if "pip install" in text and name == "RUN":
            assert text.count("pip install") == text.count("pip install -c constraints.txt")


@each_image
def test_an_image_asks_for_its_health_and_passes_signals_on(image: Path) -> None:
    told = dict(instructions(image))
    assert "'/health'" in told["HEALTHCHECK"]
    assert re.search(r'CMD \["python", .*\]$', told["HEALTHCHECK"])
    assert told["ENTRYPOINT"] == '["llada", "serve"]'
    assert told["VOLUME"] == '["/models"]'
    settings = re.findall(rf"{PREFIX}(\w+)=", told["ENV"])
    assert settings
    for setting in settings:
        assert hasattr(ServerSettings(), setting.lower())


@each_image
def test_the_health_check_of_an_image_tells_a_server_from_none(image: Path) -> None:
    command = json.loads(dict(instructions(image))["HEALTHCHECK"].partition("CMD ")[2])
    assert command[0] == "python"

    def status(url: str) -> int:
        port = url.rpartition(":")[2]
        done = subprocess.run(
            [sys.executable, *command[1:]],
            env={**os.environ, f"{PREFIX}PORT": port},
            stderr=subprocess.DEVNULL,
        )
        return done.returncode

    with scripted_server() as running:
        assert status(running.url) == 0
    assert status(running.url) == 1


def test_the_image_for_cpus_takes_builds_for_cpus_unless_told_otherwise() -> None:
    told = [text for name, text in instructions(ROOT / "docker" / "cpu.Dockerfile") if name in ("ARG", "RUN")]
    index = 'TORCH_INDEX_URL="https://download.pytorch.org/whl/cpu"'
    torch = next(text for text in told if text.endswith(" torch"))
    assert index in told
    assert torch.endswith('--extra-index-url "$TORCH_INDEX_URL" torch')


@each_image
def test_an_image_holds_the_server_and_every_engine_and_no_weights(image: Path) -> None:
    named = set(re.findall(r"\./packages/([\w-]+)", image.read_text()))
    engines = {name for name in PACKAGES if "llada-runtime" in str(project(name)["dependencies"])}
    assert named == engines | {"llada-core", "llada-runtime", "llada-server"}
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    for weights in ("packages/llada-tiny", "packages/llada-tiny-long"):
        assert weights in ignored
        assert ignored.index("!packages") < ignored.index(weights)


def test_images_that_nobody_built_say_so() -> None:
    for image in IMAGES:
        assert "Nobody has built this file yet" in image.read_text()
    assert "neither image has been built" in (ROOT / "docs" / "server.md").read_text()
