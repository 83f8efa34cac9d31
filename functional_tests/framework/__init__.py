"""A small framework for tests that start real sluiced processes on loopback. Standard library only.

A test is a file that defines one subclass of SluiceTest and calls `main(TheTest)`; example_test.py is the template.
"""

from .case import SluiceTest, assert_equal, main
from .node import Node, RpcError

__all__ = ["Node", "RpcError", "SluiceTest", "assert_equal", "main"]
