"""Builds the compiled kernel; everything else about the package stands in pyproject.toml.

LAURELS_SANITIZE=1 builds it under AddressSanitizer, with one allocation in 50 failing, for ``make fuzz``.
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

SANITIZE = os.environ.get("LAURELS_SANITIZE") == "1"
SANITIZED = ["-g", "-O1", "-fsanitize=address,undefined", "-fno-omit-frame-pointer", "-DLAURELS_FAULTS=50"]
FLAGS = SANITIZED if SANITIZE else ["-O3"]

setup(
    ext_modules=cythonize(
        [
            Extension(
                name,
                [f"src/{name.replace('.', '/')}.pyx"],
                extra_compile_args=FLAGS,
                extra_link_args=["-fsanitize=address,undefined"] if SANITIZE else [],
            )
            for name in (
                "laurels.ranking.index",
                "laurels.ranking.packed",
                "laurels.adapters.request_counts",
                "laurels.adapters.fast_path",
                "laurels.stores.embedded.key_table",
                "laurels.stores.embedded.status",
            )
        ],
        compiler_directives={"language_level": "3"},
        build_dir="build/cython",
    )
)
