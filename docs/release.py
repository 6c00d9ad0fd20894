"""What a release needs, checked by one command: `python -m docs.release`.

    python -m docs.release              check
    python -m docs.release OWNER=name   first write the owner of the GitHub repository
                                        in place of OWNER in every file

Each line says `ok` or `open`; the exit status is 1 if anything is open.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path

import yaml

import featurestack
from docs.tables import ROOT
from featurestack.commandline.registry import Registry

CHECKS: Registry[Callable[[], str]] = Registry("check")  # returns what is open
# keys that CITATION.cff must have (schema 1.2.0), and those that a citation needs
CITATION = {"cff-version", "message", "title", "authors", "version", "repository-code"}
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENTRYPOINT", "CMD", "ENV"}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


@CHECKS.register("version")
def version() -> str:
    """The same version in the package, CITATION.cff and CHANGELOG.md."""
    own = featurestack.__version__
    cited = yaml.safe_load(read("CITATION.cff"))["version"]
    described = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)[1]
    same = {own, cited, described} == {own}
    return "" if same else f"package {own}, CITATION {cited}, CHANGELOG {described}"


@CHECKS.register("citation")
def citation() -> str:
    """CITATION.cff is YAML with the keys of its schema."""
    content = yaml.safe_load(read("CITATION.cff"))
    lacking = sorted(CITATION - content.keys())
    nameless = [
        who for who in content["authors"] if not {"name", "family-names"} & {*who}
    ]
    return f"lacks {lacking}" if lacking else f"no name: {nameless}" if nameless else ""


@CHECKS.register("address")
def address() -> str:
    """An address, and permission to upload."""
    found = [name for name in tracked() if "OWNER" in read(name)]
    if found:
        return f"OWNER is no address: OWNER=name writes it into {len(found)} files"
    private = "Private :: Do Not Upload" in read("pyproject.toml")
    return "remove 'Private :: Do Not Upload' from pyproject.toml" if private else ""


@CHECKS.register("dockerfile")
def dockerfile() -> str:
    """The Dockerfile has known instructions, a supported Python and our command."""
    text = read("Dockerfile").replace("\\\n", " ")
    lines = [line.split(maxsplit=1) for line in text.splitlines() if line.strip()]
    given = [(word, rest) for word, rest in lines if word != "#"]
    if unknown := {word for word, _ in given} - INSTRUCTIONS:
        return f"unknown instructions {sorted(unknown)}"
    project = tomllib.loads(read("pyproject.toml"))["project"]
    python = re.search(r"python:(\d+\.\d+)", dict(given)["FROM"])[1]
    if not any(entry.endswith(f":: {python}") for entry in project["classifiers"]):
        return f"Python {python} is none of the supported"
    command = shlex.split(dict(given)["ENTRYPOINT"].strip("[]"))
    return "" if command[0] in project["scripts"] else f"{command} is no command"


@CHECKS.register("image")
def image() -> str:
    """The Docker image, where a Docker daemon answers."""
    if shutil.which("docker") is None or run("docker", "info"):
        return ""
    return run("docker", "build", "-q", ".")


@CHECKS.register("distribution")
def distribution() -> str:
    """Wheel and source distribution build, and pass `twine check --strict`."""
    with tempfile.TemporaryDirectory() as folder:
        built = run(sys.executable, "-m", "build", "--outdir", folder, ".")
        files = [str(file) for file in Path(folder).iterdir()]
        return built or run(sys.executable, "-m", "twine", "check", "--strict", *files)


def run(*command: str) -> str:
    """Run a command; returns the last line of its output if it fails."""
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    said = (done.stdout + done.stderr).strip().splitlines()
    return said[-1] if done.returncode else ""


def tracked() -> list[str]:
    """The files that hold the address."""
    words = ["git", "grep", "-lI", "OWNER/featurestack"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    return [name for name in done.stdout.split() if not name.endswith(".py")]


def main(*words: str) -> int:
    """Write the address, then run every check."""
    for word in words:
        owner = word.removeprefix("OWNER=")
        if owner == word or not re.fullmatch(r"[\w-]+", owner):
            print(__doc__)
            return 2
        for name in tracked():
            text = read(name).replace("OWNER/featurestack", f"{owner}/featurestack")
            text = re.sub(r" *#? *OWNER: no address yet", "", text)
            (ROOT / name).write_text(text, encoding="utf-8")
    found = {name: check() for name, check in CHECKS.items()}
    for name, fault in found.items():
        print(f"open  {name}: {fault}" if fault else f"ok    {name}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
