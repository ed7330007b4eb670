import ast

import pytest

from pipeline.demo_corpus import body_source, signature, stdlib_rows


def test_rows_of_a_library(library):
    rows = {row["id"]: (row, documented) for row, documented in stdlib_rows(library)}
    assert list(rows) == [
        "escape",
        "latin",
        "pack",
        "pack.inner",
        "pack.inner.f",
        "shapes",
        "shapes.Square",
        "shapes.Square.area",
        "shapes.Square.area.square",
        "shapes.spin",
    ]
    assert rows["pack.inner"][0]["text"] == "import pack.inner"
    assert rows["latin"][0]["text_pair"] == "Café."
    assert rows["shapes.Square"][0] == {
        "id": "shapes.Square",
        "text": "class Square",
        "text_pair": "A square.",
        "kind": "class",
        "lines": 12,
    }
    area, documented = rows["shapes.Square.area"]
    assert area["text"] == "def area(self, unit: str='€\\ud800') -> float"
    assert (area["text_pair"], area["kind"], area["lines"], documented) == ("Area in ?.", "method", 7, True)
    square, documented = rows["shapes.Square.area.square"]
    assert (square["text_pair"], square["kind"], documented) == (
        "# no root\ny = x * x\nreturn y",
        "function",
        False,
    )
    assert rows["shapes.spin"][0]["text"] == "async def spin(*, by=1)"


def test_first_of_two_equal_names_counts(tmp_path):
    (tmp_path / "a.py").write_text('def f(x):\n    """One."""\ndef f(y, z):\n    """Two."""\n')
    assert [(row["text"], row["text_pair"]) for row, _ in stdlib_rows(tmp_path)] == [("def f(x)", "One.")]


def test_package_is_called_by_its_folder_and_rows_come_in_the_order_of_paths(tmp_path):
    for name in ("b/__init__.py", "b/c.py", "a.py", "b-d/e.py", "__init__.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f'"""{name}"""\n')
    assert [(row["id"], row["text_pair"]) for row, _ in stdlib_rows(tmp_path)] == [
        ("__init__", "__init__.py"),
        ("a", "a.py"),
        ("b", "b/__init__.py"),
        ("b.c", "b/c.py"),
    ]


@pytest.mark.parametrize(
    ("source", "spelled"),
    [
        ("def f(): pass", "def f()"),
        ("@cache\n@other(1)\ndef f(a, /, b: int = 1, *c, d, **e) -> None: pass", None),
        ("async def f(*, a=(1, 2)): return a", "async def f(*, a=(1, 2))"),
        ("@final\nclass A(B, metaclass=C):\n    x = 1", "class A(B, metaclass=C)"),
    ],
)
def test_signature_is_one_line_without_decorators_and_leaves_the_tree_alone(source, spelled):
    node = ast.parse(source).body[0]
    before = ast.dump(node)
    assert signature(node) == (spelled or "def f(a, /, b: int=1, *c, d, **e) -> None")
    assert ast.dump(node) == before


@pytest.mark.parametrize(
    ("source", "body"),
    [
        ("def f(): return 1", ""),
        ("def f():\n    return 1", ""),
        ("def f(a,\n      b):\n    a += b\n    return a", "a += b\nreturn a"),
        ("def f():\n    # one\n    # two\n    return 1", "# one\n# two\nreturn 1"),
        ("def f():\n    if a:\n        b()\n    # behind", "if a:\n    b()"),
    ],
)
def test_body_comes_without_its_indentation_and_one_line_is_none(source, body):
    assert body_source(ast.parse(source).body[0], source.split("\n")) == body
