"""The demo's corpus: what the installed Python's standard library says of itself.

Sources are parsed and never imported, so nothing of them runs.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import textwrap
import warnings
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef

NOT_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idle_test"}


class Row(TypedDict):
    """A row of the corpus; `text_pair` is the docstring, or the body's source where there is none."""

    id: str
    text: str
    text_pair: str
    kind: str
    lines: int


def stdlib_rows(library: Path) -> Iterator[tuple[Row, bool]]:
    """Reads the library's modules, classes, functions and methods out of its sources; imports none.

    Args:
        library: The folder of the standard library.

    Yields:
        A row, and whether its second text is a docstring. Ids are unique: the first of a name counts.
    """
    seen: set[str] = set()
    for path in sorted(library.rglob("*.py"), key=lambda path: path.relative_to(library).parts):
        parts = path.relative_to(library).with_suffix("").parts
        if not NOT_LIBRARY.isdisjoint(parts) or not all(part.isidentifier() for part in parts):
            continue
        try:
            source = importlib.util.decode_source(path.read_bytes())
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # escapes that the library itself has not mended
                tree = ast.parse(source)
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        module = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
        for row, documented in _module_rows(module, tree, source):
            if row["id"] not in seen:
                seen.add(row["id"])
                yield row, documented


def _module_rows(module: str, tree: ast.Module, source: str) -> Iterator[tuple[Row, bool]]:
    """Lists a module's rows: itself, then its definitions from top to bottom."""
    lines = source.split("\n")  # where ast counts lines; splitlines would also cut at form feeds
    text = ast.get_docstring(tree)
    if text:
        yield _row(module, f"import {module}", text, "module", source.count("\n")), True
    for name, node, kind in _definitions(tree, module, "function"):
        text = ast.get_docstring(node)
        pair = text or ("" if isinstance(node, ast.ClassDef) else body_source(node, lines))
        if pair:
            height = (node.end_lineno or node.lineno) - node.lineno + 1
            yield _row(name, signature(node), pair, kind, height), bool(text)


def _definitions(node: ast.AST, prefix: str, kind: str) -> Iterator[tuple[str, Definition, str]]:
    """Walks classes and functions in the order of the source; `kind` is what a function in `node` is."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield f"{prefix}.{child.name}", child, "class"
            yield from _definitions(child, f"{prefix}.{child.name}", "method")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{prefix}.{child.name}", child, kind
            yield from _definitions(child, f"{prefix}.{child.name}", "function")
        elif isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):  # no expression defines one
            yield from _definitions(child, prefix, kind)


def _row(name: str, text: str, pair: str, kind: str, lines: int) -> Row:
    """Puts a row together; half a surrogate pair, which no UTF-8 file can hold, becomes `?`."""
    clean = pair.encode("utf-8", "replace").decode("utf-8")
    return Row(id=name, text=text, text_pair=clean, kind=kind, lines=lines)


def signature(node: Definition) -> str:
    """Spells the head of a definition, without decorators.

    Args:
        node: A function or class.

    Returns:
        One line of source, without its colon.

    >>> signature(ast.parse("def f(x:int, *, y = 2)->str: return y").body[0])
    'def f(x: int, *, y=2) -> str'
    """
    head = copy.copy(node)
    head.body, head.decorator_list = [ast.Pass()], []
    return ast.unparse(head).removesuffix(":\n    pass")


def body_source(node: Definition, lines: Sequence[str]) -> str:
    r"""Cuts a definition's body out of its module, with the comments at its top.

    Args:
        node: A function or class.
        lines: The module's lines.

    Returns:
        The source without its indentation; empty for a body of one line, which says next to nothing.

    >>> lines = ["def f(x):", "    # twice", "    return 2 * x"]
    >>> body_source(ast.parse("\n".join(lines)).body[0], lines)
    '# twice\nreturn 2 * x'
    """
    first, last = node.body[0].lineno, node.body[-1].end_lineno or 0
    if first == node.lineno:
        return ""
    while lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return "" if first == last else textwrap.dedent("\n".join(lines[first - 1 : last]))
