"""Settings of the documentation site: `make docs` builds docs/ into docs/out/, with
warnings as errors.

Pages are Markdown (MyST). First docs/generate.py writes the pages on options, warnings
and files into reference/generated/; the Python interface comes from docstrings. With
`-t online` (`make docs ALL=1`) names of other libraries link to their documentation,
which needs the network; otherwise nothing is fetched.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import featurestack  # noqa: E402 - the project is used from its folder
from docs import generate  # noqa: E402

project = "featurestack"
author = "the authors of featurestack"
copyright = "the authors of featurestack, MIT licence"
version = release = featurestack.__version__
html_title = project

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
]
autodoc_typehints = "none"  # the sections of docstrings have the types
autodoc_preserve_defaults = True
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}
nb_execution_mode = "off"  # the notebooks show the outputs that they are stored with
exclude_patterns = ["out", "jupyter_execute", "tables"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "html_image"]
myst_heading_anchors = 4
# fences without a language hold output and shell lines
# indented lines of a docstring are code without a colon before it
suppress_warnings = ["misc.highlighting_failure", "docutils"]

html_theme = "furo"
html_static_path = ["static", "reference/generated/players"]
html_css_files = ["site.css"]
html_show_sphinx = False
templates_path: list[str] = []
pygments_style = "friendly"
highlight_language = "none"

online = tags.has("online")  # type: ignore[name-defined] # noqa: F821 - Sphinx defines it
intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "pandas": ("https://pandas.pydata.org/docs", None),
        "librosa": ("https://librosa.org/doc/1.0.0", None),
    }
    if online
    else {}
)
linkcheck_timeout = 20
linkcheck_retries = 2
linkcheck_anchors = False


def add_figures_of_features(app, name, content):
    """The cards in reference/features.md get their figure and their players."""
    if name == "reference/features":
        content[0] = generate.with_figures(content[0])


def setup(app):
    generate.write_all(HERE / "reference" / "generated")
    generate.copy_notebooks(HERE / "course")
    app.connect("source-read", add_figures_of_features)
