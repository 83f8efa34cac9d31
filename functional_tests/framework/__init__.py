"""A small framework for tests that start real sluiced processes on loopback. Standard library only.

A test is a file that defines one subclass of SluiceTest and calls `main(TheTest)`; example_test.py is the template.
"""

from .case import CHUNK_BYTES, DROP, MIB, SLICE_BYTES, SluiceTest, assert_equal, assert_one_line, assert_refused, main
from .node import Node, RpcError

__all__ = ["CHUNK_BYTES", "DROP", "MIB", "Node", "RpcError", "SLICE_BYTES", "SluiceTest", "assert_equal", "assert_one_line", "assert_refused", "main"]
