"""Builds the compiled kernel; everything else about the package stands in pyproject.toml.

CFLAGS of your own are taken after ours. LAURELS_SANITIZE=1 builds it under AddressSanitizer, with one allocation in 50
failing, for ``make fuzz``.
"""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 - pip reads requires-python; whoever runs this file does not
    sys.exit(f"Laurels needs Python 3.11 or newer, and {sys.executable} is {sys.version.split()[0]}.")

from Cython.Build import cythonize
from setuptools import Extension, setup

SANITIZE = os.environ.get("LAURELS_SANITIZE") == "1"
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-DLAURELS_FAULTS=50"]
IS_WINDOWS = sys.platform == "win32"
FLAGS = SANITIZED if SANITIZE else ["/O2"] if IS_WINDOWS else ["-O3"]

COMPILES = not {"dist_info", "egg_info", "sdist"} & {*sys.argv}  # these only list the sources

INDEX = ("laurels.ranking.index", "laurels.ranking.packed")
SERVICE = (
    "laurels.access.marks",
    "laurels.access.rates",
    "laurels.adapters.request_counts",
    "laurels.adapters.fast_path",
    "laurels.stores.embedded.key_table",
    "laurels.stores.embedded.status",
    "laurels.stores.embedded.sync_clock",
)  # which Windows has not

EXTENSIONS = [
    Extension(
        name,
        [f"src/{name.replace('.', '/')}.pyx"],
        extra_compile_args=FLAGS + os.environ.get("CFLAGS", "").split(),
        extra_link_args=["-fsanitize=address,undefined"] if SANITIZE else [],
    )
    for name in (INDEX if IS_WINDOWS else INDEX + SERVICE)
]

setup(
    ext_modules=cythonize(EXTENSIONS, compiler_directives={"language_level": "3"}, build_dir="build/cython")
    if COMPILES
    else EXTENSIONS,
    options={"build_ext": {"parallel": os.cpu_count()}},
)
