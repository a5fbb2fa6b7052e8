"""Sphinx configuration; `make docs` builds the site."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "recsys"
copyright = "the recsys authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "generated_pages"]
exclude_patterns = ["_build", "_ext"]
templates_path: list[str] = []

html_theme = "furo"
html_title = "recsys"
html_static_path = ["_static"]
html_css_files = ["recsys.css"]
html_show_copyright = False
html_show_sphinx = False
html_copy_source = False

# Headings get the anchors that GitHub gives them, so that links work in both places.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist"]

# Docstrings quote code as Markdown does.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
add_module_names = False
python_use_unqualified_type_names = True
