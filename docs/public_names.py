"""Writes docs/reference.md and docs/public.txt, from what is public: ``python docs/public_names.py``.

The page has the Python names with their docstrings. The text has a line for each name, signature, command, variable,
operation and format that others may rely on: a change of it is a change of what is promised (docs/upgrading.md).
"""

# ruff: noqa: INP001 - a script, in the directory of the pages that it writes

from __future__ import annotations

import importlib
import inspect
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click
import griffe

from laurels.cli import main
from laurels.http.documents import DOCUMENTS
from laurels.http.operations import OPERATIONS
from laurels.stores.embedded.sqlite_file import FORMAT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from laurels.http.operation import Operation

DOCS = Path(__file__).parent
PAGE, NAMES = DOCS / "reference.md", DOCS / "public.txt"
SOURCES = DOCS.parent / "src"

MODULES = {
    "laurels": "Loaded when they are first used: `import laurels` alone costs next to nothing.",
    "laurels.client": "What the calls return and raise. Of a board that is open in this process it is the same.",
    "laurels.asgi": "",
    "laurels.pytest": "",
}
"""The modules whose names are public, and what to say of each beside its docstring."""
CLIENTS = ("AsyncClient", "Client")
"""Classes whose calls other public classes inherit."""
TREES = {"laurels.errors": "LaurelsError"}
"""Modules whose public names are one class and all classes of theirs that inherit it."""
_ROLE = re.compile(r":\w+:`~?\.?(?:[\w.]+\.)?(\w+)`")
_CONSTANT = re.compile(r"[A-Z][A-Z_]+")
_ANNOTATED = re.compile(r"Annotated\[((?:[^\[\]]|\[[^\[\]]*\])*?), Meta\([^()]*(?:\([^()]*\)[^()]*)*\)\]")
_LITERAL = re.compile(r"``(.+?)``")


def page() -> str:
    """Return the whole page."""
    package = _load()
    lines = [
        "# Python reference\n",
        "<!-- Written by docs/public_names.py from the docstrings; change them there. -->\n",
    ]
    for name, about in MODULES.items():
        module = package if name == "laurels" else package[name.removeprefix("laurels.")]
        lines += [f"## {name}\n", *_text(module.docstring.value if module.docstring else "")]
        lines += [f"{about}\n"] if about else []
        for each in _public(module):
            lines += _describe(each, f"{name}.{each.name}")
    lines += ["## laurels.errors\n", *_text(package["errors"].docstring.value)]
    return "\n".join(lines).rstrip() + "\n"


def names() -> str:
    """Return the whole text."""
    package = _load()
    lines = ["# What others may rely on; written by docs/public_names.py, and held by a test.\n"]
    for name in MODULES:
        module = package if name == "laurels" else package[name.removeprefix("laurels.")]
        for each in _public(module):
            lines += _list(each, f"{name}.{each.name}")
    lines += ["", *_errors(package), "", *_commands(), "", *map(_operation, (*OPERATIONS, *DOCUMENTS))]
    return "\n".join([*lines, "", f"data format {FORMAT}"]) + "\n"


@cache
def _load() -> griffe.Module:
    loader = griffe.GriffeLoader(search_paths=[SOURCES], allow_inspection=False)
    package = loader.load("laurels", try_relative_path=False)
    loader.resolve_aliases(implicit=True, external=False)
    assert isinstance(package, griffe.Module)  # noqa: S101 - a package is one
    return package


def _public(module: griffe.Module) -> Iterator[griffe.Object]:
    """Yield what a module lists in ``__all__``, but for what the package itself lists."""
    of_package = {str(each) for each in module.package.exports or ()} if module.path != "laurels" else set[str]()
    for name in map(str, module.exports or ()):
        if name not in of_package:
            found = module[name]
            yield found.final_target if found.is_alias else found


def _members(found: griffe.Class) -> Iterator[griffe.Object]:
    """Yield the public members of a class, and those that it inherits from classes of ours that are not public."""
    of_public = {name for base in found.mro() if base.name in CLIENTS for name in base.all_members}
    order = [base.path for base in found.mro()]
    inherited = {
        name: each
        for name, each in sorted(
            found.inherited_members.items(), key=lambda item: order.index(item[1].final_target.parent.path)
        )
        if name not in of_public
    }
    for name, each in (found.members | inherited).items():
        member = each.final_target if each.is_alias else each
        if not name.startswith("_") and not member.is_module:
            yield member


def _signature(found: griffe.Function, name: str) -> str:
    shown = [each for each in found.parameters if each.name not in {"self", "cls"}]
    parts: list[str] = []
    for before, each in zip([None, *shown], shown, strict=False):
        is_only = each.kind is griffe.ParameterKind.keyword_only
        if is_only and (before is None or before.kind is griffe.ParameterKind.positional_or_keyword):
            parts.append("*")
        stars = {"variadic positional": "*", "variadic keyword": "**"}.get(each.kind.value if each.kind else "", "")
        annotation = f": {each.annotation}" if each.annotation is not None else ""
        default = f" = {_value(found, str(each.default))}" if each.default is not None and not stars else ""
        parts.append(f"{stars}{each.name}{annotation}{default}")
    returns = f" -> {found.returns}" if found.returns is not None else ""
    prefix = "async " if "async" in found.labels else ""
    return f"{prefix}{name}({', '.join(parts)}){returns}"


def _value(found: griffe.Object, default: str) -> str:
    """Return what a default is, if it is the name of a constant."""
    if _CONSTANT.fullmatch(default):
        return repr(getattr(importlib.import_module(found.module.path), default)).replace("'", '"')
    return default.replace("'", '"')


def _initializer(found: griffe.Class, name: str) -> str:
    """Return how a class is called: by its ``__init__``, or by the fields of a struct."""
    if "__init__" in found.all_members:
        made = found.all_members["__init__"]
        made = made.final_target if made.is_alias else made
        if isinstance(made, griffe.Function) and made.path.startswith("laurels."):
            return _signature(made, name).removesuffix(" -> None")
    return name


def _describe(found: griffe.Object, name: str) -> Iterator[str]:
    if isinstance(found, griffe.Function):
        heading = "fixture" if _is_fixture(found) else ""
        yield f"### {name.rpartition('.')[2] if heading else name}\n"
        yield f"```python\n{_wrap(_signature(found, found.name))}\n```\n" if not heading else "A pytest fixture.\n"
        yield from _text(_docstring(found))
    elif isinstance(found, griffe.Class):
        yield f"### {name}\n"
        fields = "".join(f"\n    {_field(each)}" for each in _fields(found))
        bases = ", ".join(map(str, found.bases))
        is_error = any(base.name == "LaurelsError" for base in found.mro())
        heads = f"class {found.name}({bases})" if is_error else f"class {_initializer(found, found.name)}"
        yield f"```python\n{_wrap(heads)}{':' if fields else ''}{fields}\n```\n"
        yield from _text(_docstring(found))
        yield from _describe_members(found)
    elif isinstance(found, griffe.Attribute) and found.docstring is not None:
        yield f"### {name}\n"
        yield from _text(found.docstring.value)


def _describe_members(found: griffe.Class) -> Iterator[str]:
    members = list(_members(found))
    about = [each for each in members if isinstance(each, griffe.Attribute) and each.docstring is not None]
    for each in about:
        yield f"- `{each.name}`: {' '.join(_text(_docstring(each))).strip()}"
    if about:
        yield ""
    for each in members:
        if isinstance(each, griffe.Function):
            yield f"#### {found.name}.{each.name}\n"
            yield f"```python\n{_wrap(_signature(each, each.name))}\n```\n"
            yield from _text(_docstring(each))


def _fields(found: griffe.Class) -> list[griffe.Attribute]:
    """Return the fields of a struct: attributes that are annotated in the class itself, or in one that it inherits."""
    members = [each.final_target if each.is_alias else each for each in found.all_members.values()]
    return [
        each
        for each in members
        if isinstance(each, griffe.Attribute)
        and each.annotation is not None
        and "property" not in each.labels
        and not each.name.startswith("_")
        and str(each.filepath).endswith(".py")
    ]


def _field(found: griffe.Attribute) -> str:
    annotation = str(found.annotation)
    while "Annotated[" in annotation:
        annotation = _ANNOTATED.sub(r"\1", annotation)
    value = "" if found.value is None or "(" in str(found.value) else f" = {_value(found, str(found.value))}"
    return f"{found.name}: {annotation}{value}"


def _docstring(found: griffe.Object) -> str:
    """Return the docstring; that of compiled code is read from what was compiled, as a stub has none."""
    if found.docstring is not None:
        return found.docstring.value
    if str(found.filepath).endswith(".pyi"):
        value: object = importlib.import_module(found.module.path)
        for part in found.path.removeprefix(f"{found.module.path}.").split("."):
            value = getattr(value, part)
        text = inspect.cleandoc(value.__doc__ or "")
        return re.sub(r"\A[\w.]+\(.*\)(?: -> .*)?\n+", "", text)  # the signature that Cython writes before it
    return ""


def _text(docstring: str) -> Iterator[str]:
    """Yield the paragraphs of a docstring in Markdown."""
    for block in re.split(r"\n{2,}", docstring.strip()):
        if block.startswith(">>> "):
            yield f"```python\n{block}\n```\n"
        elif block.startswith("    "):
            yield f"```python\n{textwrap.dedent(block)}\n```\n"
        elif block.startswith(("├", "└")) or "\n├" in block or " ├── " in block:
            yield f"```\n{block}\n```\n"
        elif block:
            yield _LITERAL.sub(r"`\1`", _ROLE.sub(r"`\1`", " ".join(block.split()))) + "\n"


def _wrap(signature: str, width: int = 100) -> str:
    """Return a signature with a parameter on each line if it is long."""
    head, bracket, rest = signature.partition("(")
    if len(signature) <= width or not bracket:
        return signature
    inside, _, tail = rest.rpartition(")")
    parameters = re.split(r", (?![^\[(]*[\])])", inside)
    return f"{head}(\n" + "".join(f"    {each},\n" for each in parameters) + f"){tail}"


def _is_fixture(found: griffe.Function) -> bool:
    return any("pytest.fixture" in str(each.value) for each in found.decorators)


def _list(found: griffe.Object, name: str) -> Iterator[str]:
    if isinstance(found, griffe.Function):
        yield f"fixture {found.name}" if _is_fixture(found) else _signature(found, name)
    elif isinstance(found, griffe.Class):
        yield f"class {_initializer(found, name)}"
        for member in _members(found):
            if isinstance(member, griffe.Function):
                yield _signature(member, f"{name}.{member.name}")
            else:
                is_typed = isinstance(member, griffe.Attribute) and member.annotation is not None
                yield f"{name}.{_field(member) if is_typed else member.name}"
    else:
        yield name


def _errors(package: griffe.Module) -> Iterator[str]:
    """Yield the classes of errors with what they inherit."""
    for name in TREES:
        module = package[name.removeprefix("laurels.")]
        for each in module.members.values():
            if isinstance(each, griffe.Class) and not each.name.startswith("_"):
                yield f"error {name}.{each.name}({', '.join(map(str, each.bases))})"


def _commands() -> Iterator[str]:
    group = click.Context(main, info_name="laurels")
    for name in main.list_commands(group):
        command = main.get_command(group, name)
        assert command is not None  # noqa: S101 - it is listed
        yield from _command(click.Context(command, info_name=name, parent=group), command)


def _command(ctx: click.Context, command: click.Command) -> Iterator[str]:
    yield f"command {ctx.command_path} {' '.join(command.collect_usage_pieces(ctx))}".rstrip()
    for parameter in command.get_params(ctx):
        if isinstance(parameter, click.Option) and "--help" not in parameter.opts:
            variable = f" ({parameter.envvar})" if parameter.envvar else ""
            yield f"option {ctx.command_path} {' / '.join(parameter.opts + parameter.secondary_opts)}{variable}"
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from _command(click.Context(each, info_name=name, parent=ctx), each)


def _operation(operation: Operation) -> str:
    parameters = " ".join(parameter.name for parameter in operation.parameters)
    answers = " ".join(str(answer.status) for answer in operation.answers)
    return f"operation {operation.method} {operation.path} ({parameters}) {answers}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    NAMES.write_text(names(), encoding="utf-8")
