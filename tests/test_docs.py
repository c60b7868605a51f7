"""The docs say what the code does."""

from __future__ import annotations

import re
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from laurels import __version__
from laurels.adapters.limits import Limits
from laurels.cli.serve import serve
from laurels.http.figures import FIGURES
from laurels.http.problems import ALL_REASONS, STATUS
from laurels.http.reads import READS
from laurels.limits import Limit, format_size, limits_of
from laurels.momento_local.calls import SERVED
from laurels.stores.embedded.capacity import StoreLimits
from laurels.stores.embedded.sqlite_file import FORMAT
from tests.asking import ask
from tests.test_floors import MODULES

if TYPE_CHECKING:
    from tests.conftest import Server

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PEOPLE = [ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
API = (ROOT / "docs" / "http-api.md").read_text()


def test_newest_change_is_this_version() -> None:
    """The changelog's first entry is the package's version."""
    assert re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] == __version__


@pytest.mark.parametrize("page", [*PAGES, *PEOPLE], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link between pages has its page."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert not [link for link in links if not (page.parent / link).exists()]


def test_every_page_is_linked() -> None:
    """The README leads to every page of docs/."""
    readme = (ROOT / "README.md").read_text()
    assert not [page.name for page in PAGES[1:] if f"(docs/{page.name})" not in readme]


@pytest.mark.parametrize(
    "path",
    ["/", "/-/health", "/-/ready", "/-/boards/{board}/summary", "/-/boards/{board}/rank?score=1234"],
)
def test_own_routes_are_documented(server: Server, path: str) -> None:
    """A route of the service's own is in the API page, and is there."""
    assert f"`GET {path}`" in API
    assert ask(server, "GET", path.format(board="kart")).status == 200


@pytest.mark.parametrize(
    "parameter", sorted({parameter.name for read in READS for parameter in read.inputs.parameters})
)
def test_every_parameter_is_documented(parameter: str) -> None:
    """Whatever a read of a board takes stands in the API page."""
    assert re.search(rf"[?&]{parameter}=", API)


@pytest.mark.parametrize("status", [*STATUS.values(), 403, 404, 405, 421, 406, 408, 413, 414, 415, 431, 500, 505])
def test_every_status_is_documented(status: int) -> None:
    """A status that can be answered has a row in the table of errors."""
    assert re.search(rf"^\| [\d· ]*{status}[\d· ]* \|", API, re.MULTILINE)


def test_limits_are_documented() -> None:
    """The figures of the API page are those of the code."""
    limits = Limits()
    head, body, idle = limits.head_timeout, limits.body_timeout, limits.idle_timeout
    most = limits.max_connections
    for figure in (f"{head} seconds", f"longer than {body}", f"{idle} seconds idle", f"{most:,} connections"):
        assert figure in API
    assert f"over {format_size(limits.max_target)}; headers over {format_size(limits.max_head)}" in API


@pytest.mark.parametrize("limits", [limits_of(Limits), limits_of(StoreLimits, "max_")], ids=["server", "store"])
def test_every_limit_is_in_one_table(limits: dict[str, tuple[str, Limit, int]]) -> None:
    """The table of limits has the option of each, and its default."""
    table = API.partition("## Limits of the server")[2]
    for name, (_, limit, default) in limits.items():
        assert f"`--{name.replace('_', '-')}`" in table
        assert {"": f"{default:,}", "bytes": format_size(default), "seconds": f"{default} s"}[limit.unit] in table


def test_every_call_of_the_local_momento_server_is_documented() -> None:
    """The page of the local Momento server lists the calls of each service as they are served."""
    page = (ROOT / "docs" / "momento-local.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_.]+\.[A-Z]\w+)` \| (.+) \|$", page, re.MULTILINE))
    assert {service: tuple(re.findall(r"`(\w+)`", calls)) for service, calls in rows.items()} == SERVED


@pytest.mark.parametrize("figure", FIGURES)
def test_every_figure_is_documented(figure: str) -> None:
    """What the metrics say of the service stands in the API page, with the values of its labels."""
    suffix = "_total" if FIGURES[figure].kind == "counter" else ""
    (row,) = re.findall(rf"^.*`laurels_{figure}{suffix}`.*$", API, re.MULTILINE)
    assert all(f"`{label}`" in row for label in FIGURES[figure].labels)


def test_every_reason_of_a_refusal_is_documented() -> None:
    """The table has each reason that the metrics can have, and no other."""
    table = API.partition("### Reasons of refusals")[2].partition("\n## ")[0]
    reasons = [reason for row in re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)[1:] for reason in row.split(", ")]
    assert sorted(reasons) == [f"`{reason}`" for reason in ALL_REASONS]


@pytest.mark.parametrize(
    "module", [name for name in MODULES if name.startswith("laurels.") and name.endswith("__init__")]
)
def test_exports(module: str) -> None:
    """A package hands on exactly the names it lists, in order."""
    package = import_module(module.removesuffix(".__init__"))
    names = getattr(package, "__all__", [])
    assert names == sorted(names)
    assert all(hasattr(package, name) for name in names)


def test_unit_starts_the_service() -> None:
    """What the unit for systemd starts is a command with options that it has."""
    unit = ConfigParser()
    unit.read(ROOT / "examples" / "laurels.service")
    program, name, *options = unit["Service"]["execstart"].split()
    assert (Path(program).name, name) == ("laurels", "serve")
    assert serve.make_context("serve", options).params["data"] == Path("/var/lib/laurels")


RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
RULES = yaml.safe_load((ROOT / "examples" / "alerts.yaml").read_text())["groups"][0]["rules"]


def test_runbook_has_each_alert() -> None:
    """Each alert has a section, each section of an alert is of one that there is, and the alert leads to it."""
    sections = re.findall(r"^### (Laurels\w+)$", RUNBOOK, re.MULTILINE)
    assert sorted(sections) == sorted({rule["alert"] for rule in RULES})
    for rule in RULES:
        assert rule["annotations"]["runbook"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_sections_of_the_runbook_say_all() -> None:
    """Each section says what it means, what players notice, what to look at and to do, and when it is over."""
    for section in re.split(r"^###? ", RUNBOOK, flags=re.MULTILINE):
        if section.startswith("Laurels"):
            parts = r"\*\*Means\*\*", r"\*\*Players\b", r"\bLook\b", r"\bDo\b", r"\bOver\b"
            assert [part for part in parts if not re.search(part, section)] == [], section[:40]


def test_anchors_lead_somewhere() -> None:
    """Each link to a part of a page has that part."""
    heads = {page.name: re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE) for page in PAGES}
    parts = {name: set(map(_anchor, found)) for name, found in heads.items()}
    for page in [*PAGES, *PEOPLE, ROOT / "CHANGELOG.md"]:
        for name, part in re.findall(r"\]\((?:docs/)?([\w-]+\.md)?#([^)]+)\)", page.read_text()):
            assert part in parts[name or page.name], (page.name, name, part)


def _anchor(head: str) -> str:
    return re.sub(r"[^\w -]", "", re.sub(r"\]\([^)]*\)", "", head).lower()).replace(" ", "-")


def test_formats_are_documented() -> None:
    """The page on upgrading has a row for each format, of which this version writes the last."""
    page = (ROOT / "docs" / "upgrading.md").read_text()
    rows = re.findall(r"^\| (\d+) \| ([\d., ]+) \|", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, FORMAT + 1))
    assert __version__.rpartition(".")[0] in rows[-1][1].split(", ")
    versions = [version for _, found in rows for version in found.split(", ")]
    changed = re.findall(r"^## (\d+\.\d+)\.\d+$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert versions == list(dict.fromkeys(reversed(changed)))
