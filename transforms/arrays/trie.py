"""A trie in arrays, which many words walk in step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from transforms.arrays.errors import Refusal
from transforms.arrays.ragged import offsets_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRIE_BYTES = 128 << 20  # of a trie's table; that of 32,000 tokens of Unigram has 37 MB
NOWHERE, MIDDLE, BEGIN = range(3)  # nodes: no token goes on like this; the two roots


class Trie(NamedTuple):
    """The tokens of a vocabulary, letter by letter.

    Attributes:
        steps: The node behind each node and code, int32 [nodes * width]; `NOWHERE` for none.
        width: Codes a node has steps for.
        longest: The number of codes of the longest token on the way to each node, int64 [nodes]; 0 for none.
        ids: The id of that token, int32 [nodes]; -1 for none.
    """

    steps: NDArray[np.int32]
    width: int
    longest: NDArray[np.int64]
    ids: NDArray[np.int32]

    @classmethod
    def of(cls, roots: NDArray[np.int64], tokens: list[bytes], ids: NDArray[np.int32], width: int) -> Trie:
        """Builds the trie, all tokens at once, a code deeper each time.

        Args:
            roots: Whether each token begins a word (`BEGIN`) or goes on with it (`MIDDLE`), int64 [tokens].
            tokens: The codes of each, one a byte.
            ids: The id of each, int32 [tokens].
            width: Above every code.

        Returns:
            The trie.

        Raises:
            Refusal: It takes more than `TRIE_BYTES`.
        """
        node = roots.copy()  # where each token is, int64 [tokens]
        above, nodes = 0, BEGIN + 1  # the first node of the depth above, and of this one
        edges = []  # of each depth: node * width + code, int64 [nodes of the depth]
        best = [(np.zeros(nodes, np.int64), np.full(nodes, -1, np.int32))]  # of each depth: longest, ids
        lengths = np.fromiter(map(len, tokens), np.int64, len(tokens))  # int64 [tokens]
        codes, begins = np.frombuffer(b"".join(tokens), np.uint8), offsets_of(lengths)
        for depth in range(int(lengths.max(initial=0))):
            on = np.flatnonzero(lengths > depth)
            edge, place = np.unique(node[on] * width + codes[begins[on] + depth], return_inverse=True)
            longest, found = (of_above[edge // width - above] for of_above in best[-1])
            node[on] = nodes + place
            end = lengths[on] == depth + 1
            longest[place[end]], found[place[end]] = depth + 1, ids[on[end]]
            edges.append(edge)
            best.append((longest, found))
            above, nodes = nodes, nodes + len(edge)
        if 4 * nodes * width > TRIE_BYTES:
            raise Refusal(f"the trie of its vocabulary takes {4 * nodes * width} bytes, more than {TRIE_BYTES}")
        steps = np.zeros(nodes * width, np.int32)
        steps[np.concatenate([np.zeros(0, np.int64), *edges])] = np.arange(BEGIN + 1, nodes)
        return cls(steps, width, np.concatenate([b[0] for b in best]), np.concatenate([b[1] for b in best]))

    def begin(self, codes: NDArray[Any]) -> NDArray[np.int64]:
        """Finds the nodes behind the first codes of words, int64 [words]."""
        return self.steps[BEGIN * self.width + codes.astype(np.int64)].astype(np.int64)

    def walk(
        self, codes: NDArray[np.uint8], places: NDArray[np.int64], nodes: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Finds the longest token at each of many places.

        Args:
            codes: Codes of a text, 0 where a word may not go on, uint8 [bytes].
            places: Where to walk on, int64 [places].
            nodes: From which node, int64 [places].

        Returns:
            The id of each, -1 for none, int32 [places]; the length of each, from the root, int64 [places].
        """
        last = nodes.copy()  # where each stops
        who = np.arange(len(places))
        while len(who):
            step = self.steps[nodes * self.width + codes[places]]
            on = np.flatnonzero(step)
            who, places, nodes = who[on], places[on] + 1, step[on].astype(np.int64)
            last[who] = nodes
        return self.ids[last], self.longest[last]
