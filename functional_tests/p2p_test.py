#!/usr/bin/env python3
"""Connections: made, ended and refused; strangers' bytes, other networks and floods of connections cost no memory and store nothing."""

import os
import select
import socket
import time

from framework import MIB, SluiceTest, assert_equal, assert_refused, main

MAGIC = bytes.fromhex("f3511ce9")      # of regtest
HANDSHAKE_TIMEOUT_S = 10
MAX_PEERS = 40
FLOOD = 200


class P2pTest(SluiceTest):
    def run(self):
        self.alice = self.node("alice", f"-maxconnections={MAX_PEERS}", "-debug", staker=True)
        self.generate(self.alice, 3)
        genesis = bytes.fromhex(self.alice.rpc("getblockhash", 0))
        # Says hello and then nothing: looked at again at the end.
        self.greeting = MAGIC + genesis[:8]
        silent = self.dial()
        silent.sendall(self.greeting)
        silent_since = time.monotonic()
        mute = self.dial()

        self.manual_connections()
        stored, memory = self.stored(), self.memory()
        self.other_networks()
        self.garbage()
        self.many_connections()
        self.wait_until_closed(silent, "a peer that never finishes its greeting")
        self.wait_until_closed(mute, "a peer that says nothing")
        assert time.monotonic() - silent_since >= HANDSHAKE_TIMEOUT_S - 1, "it was closed too early"
        assert_equal(self.stored(), stored, "what is stored in the data directory")
        grown = self.memory() - memory
        assert grown < 48 * MIB, f"memory grew by {grown >> 20} MiB"

        # After all that, an honest node connects and syncs.
        bob = self.node("bob", connect=[self.alice], wallet=False)
        bob.wait_for_tip(self.alice.rpc("getbestblockhash"))

    def dial(self):
        stream = socket.create_connection(("127.0.0.1", self.alice.p2p_port), timeout=30)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    def send(self, stream, data):
        """Sends as much as the node takes; True if all."""
        try:
            stream.sendall(data)
            return True
        except (BrokenPipeError, ConnectionResetError, socket.timeout):
            return False

    def wait_until_closed(self, stream, what):
        """Reads until the node ends the connection; returns what it sent."""
        received = b""
        stream.settimeout(30)
        try:
            while data := stream.recv(65536):
                received += data
                assert len(received) < MIB, f"{what}: the node sends a lot"
        except ConnectionResetError:
            pass
        except socket.timeout as timeout:
            raise AssertionError(f"{what}: the connection was not ended") from timeout
        finally:
            stream.close()
        return received

    def stored(self):
        """Files of the node, without its log and its database's own logs: path -> size."""
        files = {}
        for parent, _, names in os.walk(self.alice.chain_dir()):
            for name in names:
                path = os.path.join(parent, name)
                if name != "debug.log":
                    files[os.path.relpath(path, self.alice.chain_dir())] = os.path.getsize(path)
        return files

    def memory(self):
        with open(f"/proc/{self.alice.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS"))

    def manual_connections(self):
        alice = self.alice
        bob = self.node("bob1", wallet=False)
        address = f"127.0.0.1:{bob.p2p_port}"
        alice.rpc("addnode", address, "add")
        alice.wait_until(lambda: self.is_connected(alice, bob), "the connection")
        added, = alice.rpc("getaddednodeinfo")
        assert_equal((added["addednode"], added["connected"]), (address, True), "the added node")
        peer, = bob.rpc("getpeerinfo")
        assert_equal((peer["inbound"], peer["nodeid"]), (True, alice.node_id()), "the other end")
        assert "bob" not in alice.cli("peers") and address in alice.cli("peers")

        # An added node that is disconnected is dialled again; once removed it is not.
        alice.rpc("disconnectnode", address)
        alice.wait_until(lambda: self.is_connected(alice, bob), "the connection again")
        alice.rpc("addnode", address, "remove")
        assert_equal(alice.rpc("getaddednodeinfo"), [], "added nodes")
        alice.rpc("disconnectnode", str(alice.rpc("getpeerinfo")[0]["id"]))
        bob.wait_until(lambda: bob.rpc("getconnectioncount") == 0, "the end of the connection")
        alice.rpc("addnode", address, "onetry")
        alice.wait_for_peers(1)
        bob.stop()
        alice.wait_until(lambda: alice.rpc("getconnectioncount") == 0, "the end of the connection to a node that stopped")

        for call, code, says in (
                (lambda: alice.rpc("addnode", address, "remove"), -5, "not added"),
                (lambda: alice.rpc("addnode", address, "keep"), -8, "add, remove or onetry"),
                (lambda: alice.rpc("addnode", "no address", "add"), -8, "node"),
                (lambda: alice.rpc("addnode", "127.0.0.1:99999", "add"), -8, "node"),
                (lambda: alice.rpc("disconnectnode", "127.0.0.1:1"), -5, "getpeerinfo")):
            assert_refused(call, code, says)
        # Oneself.
        alice.rpc("addnode", f"127.0.0.1:{alice.p2p_port}", "onetry")
        # Nobody there.
        nobody = socket.create_server(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        nobody.close()
        alice.rpc("addnode", f"127.0.0.1:{port}", "add")
        alice.wait_until(lambda: alice.rpc("getaddednodeinfo")[0]["last_failure"], "the reason why it is not connected")
        alice.rpc("addnode", f"127.0.0.1:{port}", "remove")
        assert_equal(alice.rpc("getconnectioncount"), 0, "peers")

    def other_networks(self):
        for hello, says in ((b"\xf9\xbe\xb4\xd9", "another network: its magic is f9beb4d9"), (b"GET / HTTP/1.1\r\n\r\n", "its magic is 47455420"),
                            (MAGIC + bytes(8), "another genesis block"), (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "its magic is 16030102")):
            stream = self.dial()
            self.send(stream, hello)
            self.wait_until_closed(stream, f"a greeting of {hello!r}")
            self.alice.wait_for_log(says)

    def garbage(self):
        noise = os.urandom(MIB)
        for name, start in (("noise", b""), ("noise after the greeting", self.greeting), ("zeros after the greeting", self.greeting + bytes(32))):
            for _ in range(3):
                stream = self.dial()
                # The node needs no more than the first bytes to end it, however much is sent.
                self.send(stream, start + noise)
                self.wait_until_closed(stream, name)
        # One byte at a time is the same.
        stream = self.dial()
        for byte in self.greeting + bytes(32):
            self.send(stream, bytes([byte]))
        assert_equal(self.alice.rpc("getconnectioncount"), 0, "peers after garbage")
        self.send(stream, noise)
        self.wait_until_closed(stream, "garbage, byte by byte")

    def many_connections(self):
        streams = [self.dial() for _ in range(FLOOD)]
        # The node keeps no more than its limit and ends the others.
        closed = set()
        deadline = time.monotonic() + 30
        while len(closed) < FLOOD - MAX_PEERS and time.monotonic() < deadline:
            open_ones = [s for s in streams if s not in closed]
            for stream in select.select(open_ones, [], [], 1)[0]:
                try:
                    if not stream.recv(65536):
                        closed.add(stream)
                except ConnectionResetError:
                    closed.add(stream)
        assert len(closed) >= FLOOD - MAX_PEERS, f"{FLOOD - len(closed)} connections are kept, the limit is {MAX_PEERS}"
        assert_equal(self.alice.rpc("getconnectioncount"), 0, "peers")
        for stream in streams:
            stream.close()


if __name__ == "__main__":
    main(P2pTest)
