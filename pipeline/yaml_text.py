"""YAML that is not trusted: plain values alone, and no more of them than are written."""

from __future__ import annotations

from typing import Any

import yaml

DEEPEST = 50  # levels: a configuration has four
REPEATED = 10_000  # values that aliases stand for, all together

PREFIX = "tag:yaml.org,2002:"
PLAIN = frozenset(PREFIX + name for name in ("str", "int", "float", "bool", "null", "seq", "map"))
KEYS = frozenset(PREFIX + name for name in ("str", "merge"))


class Refused(yaml.MarkedYAMLError):
    """It is YAML, but nothing that a configuration can hold."""


def load_yaml(text: str | bytes) -> Any:
    """Reads YAML of plain values: nothing that it says is run, and a value stands for little more than is written.

    A date is text, such as a run's name. Refused are keys that are there twice or are no text, tags of any other kind,
    numbers beyond 64 bits, values that hold themselves, and aliases that stand for thousands of values.

    Args:
        text: YAML; bytes are UTF-8, or UTF-16 with a BOM.

    Returns:
        None, bool, int, float, str, and lists and dicts of these.

    Raises:
        Refused: It holds what is refused; the error knows the line.
        yaml.YAMLError: It is no YAML.
        UnicodeDecodeError: It is no UTF-8.

    >>> load_yaml("{id: 2026-11-22, seed: 3}")
    {'id': '2026-11-22', 'seed': 3}
    """
    loader = _PlainLoader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


class _PlainLoader(yaml.SafeLoader):
    """Checks each value as it is met, so that a hostile file is left at the first."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name, never changed
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def __init__(self, text: str | bytes) -> None:
        super().__init__(text)
        self._depth = self._values = self._repeated = 0
        self._sizes: dict[int, int] = {}  # of finished nodes by their identity, what aliases stand for counted in

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Composes a value; counts it, and what an alias stands for."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call] # PyYAML's own
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise Refused(problem=f"*{event.anchor} holds itself", problem_mark=mark)
            self._repeated += self._sizes[id(node)]
            if self._repeated > REPEATED:
                raise Refused(
                    problem=f"aliases stand for more than {REPEATED} values; write them out",
                    problem_mark=mark,
                )
            self._values += self._sizes[id(node)]
            return node
        self._depth += 1
        if self._depth > DEEPEST:
            raise Refused(problem=f"more than {DEEPEST} levels deep", problem_mark=mark)
        before = self._values
        self._values += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._values - before
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        """Composes a mapping; its keys are text, each there once."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag not in KEYS:
                shown = f": '{key.value}'" if isinstance(key, yaml.ScalarNode) and len(key.value) < DEEPEST else ""
                raise Refused(problem=f"a key is to be text; put it in quotes{shown}", problem_mark=key.start_mark)
            if key.value in seen:
                raise Refused(
                    problem=f"the key {key.value!r} is there twice; leave one out", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return node

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Makes a value; what its tag says it is, it has to be."""
        if node.tag not in PLAIN:
            raise Refused(problem=f"a value of the kind {node.tag} cannot be used here", problem_mark=node.start_mark)
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, TypeError):
            value = None
            if node.tag != f"{PREFIX}null":
                raise self._no_value(node) from None
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise self._no_value(node)
        return value

    def _no_value(self, node: Any) -> Refused:
        kind = {"int": "integer of 64 bits", "float": "number", "bool": "truth value"}.get(node.tag[len(PREFIX) :])
        shown = node.value if isinstance(node.value, str) else "this"
        return Refused(problem=f"{shown[:40]!r} is no {kind or node.tag}", problem_mark=node.start_mark)
