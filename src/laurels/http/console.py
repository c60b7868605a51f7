"""The console's files as operations, open to anyone: what they show, the scopes of the key that is entered decide.

The page loads and asks nothing but this service. Its links are relative, so that they hold behind any prefix.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from laurels.http.headers import revalidated
from laurels.http.messages import HTML, Response
from laurels.http.operation import Answer, Operation
from laurels.http.parameters import CONSOLE_FILE
from laurels.http.problems import HTTPError
from laurels.web.console import NAMES, SHELL, read

if TYPE_CHECKING:
    from laurels.http.gate import Context
    from laurels.http.messages import Request

HTML_PAGE = b"text/html; charset=utf-8"
KINDS = {"css": b"text/css; charset=utf-8", "js": b"text/javascript; charset=utf-8"}
POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    b"form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
)


async def _show_console(_: Context, request: Request) -> Response:
    return revalidated(request, Response(200, read(SHELL), HTML_PAGE, HEADERS))


async def _send_file(_: Context, request: Request, name: str) -> Response:
    if name not in NAMES:
        raise HTTPError(404, f"The console has no such file. It has {', '.join(NAMES)}.")
    return revalidated(request, Response(200, read(name), KINDS[name.rpartition(".")[2]], HEADERS))


CONSOLE = (
    Operation(
        name="console",
        method="GET",
        path="/-/console",
        tag="Service",
        title="Open the console",
        about="Returns a page for people who moderate and administer. They enter their key there.",
        answers=(Answer(200, "The page.", kinds=(HTML_PAGE,)),),
        handler=_show_console,
        scope=None,
        takes_request=True,
        produces=(HTML,),
    ),
    Operation(
        name="console_file",
        method="GET",
        path=f"/-/console/{{{CONSOLE_FILE.name}}}",
        tag="Service",
        title="Load a file of the console",
        about="Returns a module or the style sheet that the page loads.",
        answers=(Answer(200, "The file.", kinds=tuple(KINDS.values())),),
        handler=_send_file,
        errors=(400, 404, 406),
        scope=None,
        takes_request=True,
        produces=(),
    ),
)
"""The page, and what it loads."""
