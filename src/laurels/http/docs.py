"""The docs as one page of HTML, written from the OpenAPI document: no script, and nothing from elsewhere.

It also works on paper, on a narrow screen, in the dark, and by keyboard. :data:`PAGE_HEADERS` let a browser load and
run nothing, whatever a page might say. Links are relative, so that they hold behind a path prefix that nobody told of.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from html import escape
from http import HTTPStatus
from shlex import quote
from typing import TYPE_CHECKING, Any

import msgspec

from laurels.http.examples import WALKTHROUGH
from laurels.http.messages import DEFAULT_ORIGIN
from laurels.http.openapi import describe
from laurels.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from laurels.http.examples import Example
    from laurels.http.openapi import Document, MediaType, OperationObject, ParameterObject, ResponseObject
    from laurels.http.operation import Operation
    from laurels.http.parameters import Schema

STYLE = """
:root { color-scheme: light dark; --ink: #1d2638; --soft: #55607a; --line: #d5dbe6; --page: #fff; --tint: #f4f6fa;
  --link: #1450a3; --get: #1b6e3c; --post: #1450a3; --put: #8a5300; --delete: #a3231b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8f0; --soft: #a3adc2; --line: #39435a; --page: #131822;
  --tint: #1c2331; --link: #8cb8ff; --get: #6fd398; --post: #8cb8ff; --put: #f0b860; --delete: #ff958c; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.55 system-ui, sans-serif; }
a { color: var(--link); }
a:focus-visible, summary:focus-visible, pre:focus-visible, .wide:focus-visible { outline: 3px solid var(--link);
  outline-offset: 2px; }
.skip { position: absolute; left: -100vw; } .skip:focus { left: 1rem; top: 1rem; background: var(--page);
  padding: .5rem; z-index: 1; }
.frame { display: grid; grid-template-columns: 17rem minmax(0, 1fr); max-width: 78rem; margin: auto; }
nav { padding: 1.5rem 1rem; border-right: 1px solid var(--line); position: sticky; top: 0; align-self: start;
  max-height: 100vh; overflow-y: auto; font-size: .9rem; }
nav ul { list-style: none; margin: 0 0 1rem; padding: 0; } nav a { display: block; padding: .2rem 0;
  text-decoration: none; } nav a:hover { text-decoration: underline; }
main { padding: 1.5rem clamp(1rem, 4vw, 3rem) 6rem; min-width: 0; }
h1, h2, h3, h4 { line-height: 1.25; } h1 { margin-top: 0; }
h2 { margin-top: 3.5rem; border-bottom: 1px solid var(--line); padding-bottom: .3rem; }
h3 { margin-top: 3rem; } h4 { margin: 1.4rem 0 .4rem; color: var(--soft); }
h3 a { color: inherit; text-decoration: none; } h3 a:hover { text-decoration: underline; }
code, pre { font: .875rem/1.5 ui-monospace, monospace; } code { overflow-wrap: anywhere; }
pre { background: var(--tint); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem;
  margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.route { font-weight: 600; } .route b { padding-right: .5rem; }
.get b { color: var(--get); } .post b { color: var(--post); } .put b { color: var(--put); }
.delete b { color: var(--delete); }
.soft { color: var(--soft); } .wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .95rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }
th[scope=row] { font-weight: 400; min-width: 7rem; }
figure { margin: 1rem 0; } figcaption { color: var(--soft); font-size: .95rem; }
.landing { max-width: 40rem; margin: 12vh auto; padding: 0 1rem; }
@media (max-width: 56rem) { .frame { display: block; } nav { position: static; max-height: none; border-right: 0;
  border-bottom: 1px solid var(--line); } }
@media print { nav, .skip { display: none; } .frame { display: block; } pre, tr, figure { break-inside: avoid; }
  h3, h4 { break-after: avoid; } }
"""

_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'; img-src data:; "
)
_POLICY += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
PAGE_HEADERS = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
)
"""What goes with every page."""


@cache
def docs_page(operations: Sequence[Operation]) -> bytes:
    """Return the docs of these operations."""
    return _page("Laurels: the HTTP API", "".join(_docs(describe(operations))))


@cache
def landing_page() -> bytes:
    """Return what a browser sees at the root."""
    return _page(
        "Laurels",
        f"""<main class="landing"><h1>Laurels</h1>
<p>This is a leaderboard service, version {escape(__version__)}. Games and apps submit scores to it over HTTP, and ask
who stands where.</p>
{_block(_curl("post", WALKTHROUGH[1]))}
<ul><li><a href="-/docs">The HTTP API</a>, with examples</li>
<li><a href="-/openapi.json">The same as OpenAPI 3.1</a>, for programs</li>
<li><a href="-/boards">The boards</a>, as JSON</li></ul></main>""",
    )


def _page(title: str, body: str) -> bytes:
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body>{body}</body></html>\n"
    ).encode()


def _docs(document: Document) -> Iterator[str]:
    operations = [one for methods in document.paths.values() for one in methods.items()]
    yield '<a class="skip" href="#content">To the content</a><div class="frame"><nav aria-label="Contents">'
    for tag in document.tags:
        yield f'<a href="#{_anchor(tag.name)}"><b>{escape(tag.name)}</b></a><ul>'
        for _, operation in operations:
            if tag.name in operation.tags:
                yield f'<li><a href="#{operation.operation_id}">{escape(operation.summary)}</a></li>'
        yield "</ul>"
    yield '<a href="#errors"><b>Errors</b></a><a href="#bodies"><b>Bodies</b></a></nav><main id="content">'
    yield f'<h1>Laurels <span class="soft">{escape(document.info.version)}</span></h1>'
    yield _prose(document.info.description)
    yield '<p>For programs: <a href="openapi.json">OpenAPI 3.1</a>.</p>'
    for tag in document.tags:
        yield f'<section aria-labelledby="{_anchor(tag.name)}"><h2 id="{_anchor(tag.name)}">{escape(tag.name)}</h2>'
        yield _prose(tag.description)
        for path, methods in document.paths.items():
            for method, operation in methods.items():
                if tag.name in operation.tags:
                    yield from _operation(method, path, operation)
        yield "</section>"
    yield from _errors(document)
    yield from _bodies(document.components.schemas)
    yield "</main></div>"


def _operation(method: str, path: str, operation: OperationObject) -> Iterator[str]:
    anchor = operation.operation_id
    yield f'<article aria-labelledby="{anchor}"><h3 id="{anchor}"><a href="#{anchor}">{escape(operation.summary)}</a>'
    yield f'</h3><p class="route {method}"><code><b>{method.upper()}</b>{escape(path)}</code></p>'
    yield _prose(operation.description)
    if operation.parameters:
        yield "<h4>Parameters</h4>" + _table(map(_parameter, operation.parameters))
    if operation.request_body:
        yield f"<h4>Body</h4><p>{_kinds(operation.request_body.content)}</p>"
    yield "<h4>Answers</h4>" + _table(_answers(operation))
    examples = [one for one in WALKTHROUGH if one.operation == anchor]
    if examples:
        yield "<h4>Examples</h4>" + "".join(map(_example, examples, [method] * len(examples)))
    yield "</article>"


def _parameter(parameter: ParameterObject) -> tuple[str, str]:
    where = {"path": "in the path", "query": "in the query", "header": "a header"}[parameter.where]
    about = [where, "required" if parameter.required and parameter.where != "path" else "", _limits(parameter.schema)]
    return f"<code>{escape(parameter.name)}</code>", (
        f'{_inline(parameter.description)} <span class="soft">({escape("; ".join(filter(None, about)))})</span>'
    )


def _answers(operation: OperationObject) -> Iterator[tuple[str, str]]:
    errors = []
    for status, answer in operation.responses.items():
        if int(status) >= HTTPStatus.BAD_REQUEST:
            errors.append(f'<a href="#{status}">{status}</a>')
            continue
        headers = "".join(f" Header <code>{escape(name)}</code>." for name in answer.headers)
        yield f"<code>{status}</code>", f"{_inline(answer.description)} {_kinds(answer.content)}{headers}"
    yield "errors", " · ".join(errors)


def _kinds(content: dict[str, MediaType]) -> str:
    return " ".join(_type(media.schema) if "json" in kind else escape(kind) for kind, media in content.items())


def _example(one: Example, method: str) -> str:
    answer = f"{one.status}" + (f"\n{msgspec.json.format(one.answer, indent=2).decode()}" if one.answer else "")
    return f"<figure><figcaption>{escape(one.about)}</figcaption>{_block(_curl(method, one))}{_block(answer)}</figure>"


def _curl(method: str, one: Example) -> str:
    asked = [] if method in {"get", "post"} else ["-X", method.upper()]
    asked += ["-H", ": ".join(one.header)] if one.header else []
    asked += ["--json", one.body.decode()] if one.body else []
    return " ".join(map(quote, ["curl", *asked, DEFAULT_ORIGIN + one.target]))


def _errors(document: Document) -> Iterator[str]:
    found = {
        status: answer
        for methods in document.paths.values()
        for operation in methods.values()
        for status, answer in operation.responses.items()
        if int(status) >= HTTPStatus.BAD_REQUEST
    } | document.components.responses
    rows = [(f'<code id="{status}">{status}</code>', _error(answer)) for status, answer in sorted(found.items())]
    yield '<section aria-labelledby="errors"><h2 id="errors">Errors</h2>'
    yield f"<p>The body of each is a {_link('Problem')}, as <code>application/problem+json</code>.</p>"
    yield f"{_table(rows)}</section>"


def _error(answer: ResponseObject) -> str:
    return _inline(answer.description) + "".join(f" Header <code>{name}</code>." for name in answer.headers)


def _bodies(schemas: dict[str, Schema]) -> Iterator[str]:
    yield '<section aria-labelledby="bodies"><h2 id="bodies">Bodies</h2>'
    for name, schema in schemas.items():
        yield f'<article aria-labelledby="{name}"><h3 id="{name}"><a href="#{name}">{name}</a></h3>'
        yield _prose(schema["description"])
        yield _table(_field(field, of, schema["required"]) for field, of in schema["properties"].items())
        yield "</article>"
    yield "</section>"


def _field(name: str, schema: Schema, required: list[str]) -> tuple[str, str]:
    limits = _limits(schema)
    about = [_type(schema), "" if name in required else "may be left out", escape(limits)]
    return f"<code>{escape(name)}</code>", (
        f'{_inline(schema.get("description", ""))} <span class="soft">({"; ".join(filter(None, about))})</span>'
    )


def _type(schema: Schema) -> str:
    """Return the type of a schema in words, with a link if it is a struct."""
    if "$ref" in schema:
        return _link(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    kinds = schema.get("type", [])
    if kinds == "array":
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return f"object of {_type(schema['additionalProperties'])}"
    if "enum" in schema:
        return "one of " + ", ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    return " or ".join([kinds] if isinstance(kinds, str) else kinds) or "any JSON"


def _link(name: str) -> str:
    return f'<a href="#{name}">{name}</a>'


WORDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minItems": "at least {} of them",
    "maxItems": "at most {} of them",
    "maxLength": "at most {} bytes",
    "default": "default {}",
}
"""The words for what limits a value."""


def _limits(schema: Schema) -> str:
    return "; ".join(words.format(_value(schema[key])) for key, words in WORDS.items() if key in schema)


def _value(value: Any) -> str:
    return f"{value:,}" if type(value) is int else msgspec.json.encode(value).decode()


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f'<tr><th scope="row">{first}</th><td>{second}</td></tr>' for first, second in rows)
    return f'<div class="wide"><table>{cells}</table></div>'


def _block(text: str) -> str:
    return f"<pre><code>{escape(text, quote=False)}</code></pre>"


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in text.strip().split("\n\n") if paragraph)


def _inline(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text, quote=False))


def _anchor(name: str) -> str:
    return f"about-{name.lower()}"
