"""Fixtures of the whole suite."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from featurestack.base import DEFINING
from featurestack.base.terminal import tell_once

# the compiled modules are kept: hundreds of processes would compile them again
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ.setdefault("MPLBACKEND", "Agg")
# test files run side by side, a process a core
os.environ.setdefault("OMP_NUM_THREADS", "1")
# commands are proposed as in a shell where the environment is active
os.environ["VIRTUAL_ENV"] = sys.prefix
# `make test` sets these; tests that call make start clean
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)
# a killed process loses nothing that it has written; thousands of files would wait for
# the disk
os.fsync = lambda descriptor: None
# libraries write caches and profiles into the home folder, which must not change; the
# processes of pytest-xdist have the folder of the first one
if "PYTEST_XDIST_WORKER" not in os.environ:
    home = tempfile.TemporaryDirectory(prefix="home", ignore_cleanup_errors=True)
    # matplotlib's list of fonts, where it has been made before
    for file in Path.home().glob(".cache/matplotlib/fontlist-*.json"):
        copy = Path(home.name, ".cache", "matplotlib", file.name)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
    os.environ["HOME"] = home.name


def pytest_configure(config):
    """Load the fixtures that need the product, except in the process of pytest-xdist
    that runs no test.
    """
    if not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")


@pytest.fixture(scope="module", autouse=True)
def own_files():
    """Forget the files of a module's own features and models when it ends: modules
    share runs, and a run records such files.
    """
    before = dict(DEFINING)
    yield
    DEFINING.clear()
    DEFINING.update(before)


@pytest.fixture(scope="session")
def start_chromium(tmp_path_factory):
    """Starts a headless browser with these flags too and, by their names,
    capabilities.
    """
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not binary or not driver:
        pytest.skip(
            "no browser: install chromium and chromedriver (Debian: chromium"
            " chromium-driver)"
        )
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    def start(*flags, **capabilities):
        options = webdriver.ChromeOptions()
        options.binary_location = binary
        profile = f"--user-data-dir={tmp_path_factory.mktemp('profile')}"
        plain = ("headless", "no-sandbox", "disable-gpu", "no-first-run", "mute-audio")
        for word in (*(f"--{name}" for name in plain), profile, *flags):
            options.add_argument(word)
        for name, value in capabilities.items():
            options.set_capability(name, value)
        return webdriver.Chrome(options=options, service=Service(driver))

    return start


@pytest.fixture(autouse=True)
def _forget_what_was_told():
    """Every test begins like a new process: no message has been printed."""
    tell_once.cache_clear()
