"""Write what the changelog says of a tag such as v1.2.3; fail unless that is the version that the package has."""

import re
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def notes(tag: str) -> str:
    """Return the section of the changelog; raise SystemExit if the tag is not of this version, or nothing is said."""
    version = runpy.run_path(str(ROOT / "src" / "laurels" / "version.py"))["__version__"]
    if tag != f"v{version}":
        raise SystemExit(f"The tag is {tag}, and the package's version {version}: it would be v{version}.")
    sections = re.split(r"^## (.+)\n", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    said = dict(zip(sections[1::2], sections[2::2], strict=True)).get(version, "").strip()
    if not said:
        raise SystemExit(f"CHANGELOG.md says nothing of {version}.")
    return said


sys.stdout.write(f"{notes(sys.argv[1])}\n")
