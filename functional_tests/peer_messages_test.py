#!/usr/bin/env python3
"""A peer with a right handshake that then breaks the rules: it is dropped with a reason and not let in again; nothing is stored, memory stays."""

import os
import struct

from framework import MIB, SluiceTest, assert_equal, main
from framework import raw_peer as raw
from framework.raw_peer import PeerClosed, RawPeer

COMPACT_HUGE = b"\xff" + struct.pack("<Q", 1 << 40)   # a count of 2^40


class PeerMessagesTest(SluiceTest):
    def run(self):
        self.alice = self.node("alice", "-debug", staker=True)
        self.generate(self.alice, 3)
        self.genesis = self.alice.rpc("getblockhash", 0)
        self.right_messages()
        before = self.stored(), self.memory()
        self.frames()
        self.messages()
        self.greetings()
        self.harmless()
        self.flood()
        assert_equal(self.stored(), before[0], "what is stored")
        grown = self.memory() - before[1]
        assert grown < 48 * MIB, f"memory grew by {grown >> 20} MiB"
        assert_equal(self.alice.rpc("getconnectioncount"), 0, "peers")
        bob = self.node("bob", connect=[self.alice], wallet=False)
        bob.wait_for_tip(self.alice.rpc("getbestblockhash"))

    def peer(self, **named):
        return RawPeer(self.alice.p2p_port, self.genesis, **named)

    def stored(self):
        files = {}
        for parent, _, names in os.walk(self.alice.chain_dir()):
            files.update({os.path.join(parent, name): os.path.getsize(os.path.join(parent, name)) for name in names if name != "debug.log"})
        return files

    def memory(self):
        with open(f"/proc/{self.alice.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS"))

    def right_messages(self):
        """The peer of this test is one that the node takes for a node."""
        peer = self.peer()
        self.alice.wait_for_peers(1)
        info, = self.alice.rpc("getpeerinfo")
        assert_equal((info["subver"], info["inbound"]), ("/raw:1/", True), "what the node says of it")
        assert peer.is_served()
        tip = self.alice.rpc("getbestblockhash")
        peer.send(raw.GET_BLOCKS, b"\1" + bytes.fromhex(tip))
        first = peer.wait_for(raw.BLOCK)
        assert first.hex().startswith(self.alice.rpc("getblock", tip, 0)[:200]), "the block that the node serves"
        peer.close()
        self.alice.wait_until(lambda: self.alice.rpc("getconnectioncount") == 0, "the end of the connection")

    def dropped(self, name, says, act, refused_again=True, **named):
        """A peer does `act` and is dropped, with this reason in the log."""
        seen = len(self.alice.log())
        peer = self.peer(**named)
        try:
            act(peer)
        except PeerClosed:
            pass   # before it had said all
        peer.wait_until_closed()
        self.alice.wait_until(lambda: self.alice.rpc("getconnectioncount") == 0, f"the end of the connection after {name}")
        log = self.alice.log()[seen:]
        assert says in log, f"{name}: the log does not say {says!r}: {log[-1000:]}"
        if not refused_again:
            return
        try:
            again = self.peer(secret=peer.secret)
            assert not again.is_served(), f"{name}: the peer is let in again"
        except PeerClosed:
            pass

    def frames(self):
        def sealed(peer, length):
            peer.send_raw(struct.pack("<H", length) + os.urandom(length))
        self.dropped("a false tag", "authentication tag is false", lambda p: sealed(p, 100), refused_again=False)
        self.dropped("a frame that is too long", "frame length 65535", lambda p: sealed(p, 65535), refused_again=False)
        self.dropped("a frame that is too short", "frame length 5", lambda p: sealed(p, 5), refused_again=False)
        self.dropped("an unknown type", "message type 77 is unknown", lambda p: p.send(77, b"x"), refused_again=False)
        self.dropped("a fragment that is not full", "is not full", lambda p: p.send(raw.BLOCK | raw.MORE_FRAGMENTS, b"x"), refused_again=False)

        def endless(peer):
            payload = bytes(raw.MAX_FRAME_PAYLOAD)
            for _ in range(20):
                peer.send(raw.TX_INVENTORY | raw.MORE_FRAGMENTS, payload)
        self.dropped("a message without end", "over its limit", endless, refused_again=False)

        def mixed(peer):
            peer.send(raw.BLOCK | raw.MORE_FRAGMENTS, bytes(raw.MAX_FRAME_PAYLOAD))
            peer.send(raw.BLOCK_NOT_FOUND, bytes(33))
        self.dropped("a message inside another", "inside a", mixed, refused_again=False)

    def messages(self):
        tip = self.alice.rpc("getblockheader", self.alice.rpc("getbestblockhash"), False)
        parent = self.alice.rpc("getblockheader", self.alice.rpc("getblockhash", 2), False)
        forged = bytearray.fromhex(tip)
        forged[-1] ^= 1
        for name, says, message_type, payload in (
                ("a short ping", "ping", raw.PING, b"123"),
                ("a locator that is cut off", "getheaders", raw.GET_HEADERS, b"\5abc"),
                ("a locator of 2^40 hashes", "getheaders", raw.GET_HEADERS, COMPACT_HUGE),
                ("2^40 headers", "headers", raw.HEADERS, COMPACT_HUGE),
                ("half a header", "headers", raw.HEADERS, b"\1" + bytes.fromhex(parent)[:-10]),
                ("a header with a false signature", "signature", raw.HEADERS, b"\1" + bytes(forged)),
                ("bytes after a header", "headers", raw.HEADERS, b"\1" + bytes.fromhex(parent) + b"more"),
                ("2^40 block hashes", "getblocks", raw.GET_BLOCKS, COMPACT_HUGE),
                ("17 block hashes", "getblocks", raw.GET_BLOCKS, b"\x11" + bytes(17 * 32)),
                ("2^40 transactions", "txinv", raw.TX_INVENTORY, COMPACT_HUGE),
                ("2^40 wanted transactions", "gettxs", raw.GET_TRANSACTIONS, COMPACT_HUGE),
                ("a transaction of random bytes", "tx: ", raw.TRANSACTION, bytes(range(200))),
                ("a transaction of 2^40 inputs", "tx: ", raw.TRANSACTION, struct.pack("<L", 2) + COMPACT_HUGE),
                ("2^40 addresses", "addr", raw.ADDRESSES, COMPACT_HUGE),
                ("content control of random bytes", "broke the rules", raw.CONTENT_CONTROL, b"\xee" * 100),
                ("content control of nothing", "broke the rules", raw.CONTENT_CONTROL, b""),
                ("a leaf that is too short", "broke the rules", raw.CONTENT_CHUNK, b"short")):
            self.dropped(name, says, lambda p, t=message_type, d=payload: p.send(t, d), refused_again=message_type != raw.PING)

    def greetings(self):
        for name, says, message_type, payload in (
                ("no greeting at first", "", raw.GET_ADDRESSES, b""),
                ("a greeting that is cut off", "hello", raw.HELLO, RawPeer.hello()[:-3]),
                ("an agent of 2^40 bytes", "hello", raw.HELLO, struct.pack("<LQ", 1, 0) + COMPACT_HUGE),
                ("version 0", "version", raw.HELLO, RawPeer.hello(version=0))):
            self.dropped(name, says, lambda p, t=message_type, d=payload: p.send(t, d), refused_again=False, hello=False)
        self.dropped("a second greeting", "hello", lambda p: p.send(raw.HELLO, RawPeer.hello()), refused_again=False)
        # An agent's name is shown to people as it cannot harm them.
        peer = self.peer(hello=False)
        peer.send(raw.HELLO, RawPeer.hello(agent=b"\x1b[31mred\n\xff"))
        peer.is_served()
        shown = self.alice.cli("peers")
        assert "\x1b" not in shown and len(shown.splitlines()) <= 2, repr(shown)
        peer.close()
        self.alice.wait_until(lambda: self.alice.rpc("getconnectioncount") == 0, "the end of the connection")

    def harmless(self):
        """What a node may see from honest peers of other versions or times is no reason to drop one."""
        peer = self.peer()
        peer.wait_for(raw.GET_HEADERS)
        peer.send(raw.HEADERS, b"\0")   # it has none
        unknown = os.urandom(32)
        peer.send(raw.GET_BLOCKS, b"\1" + unknown)
        assert unknown in peer.wait_for(raw.BLOCK_NOT_FOUND)
        peer.send(raw.GET_TRANSACTIONS, b"\1" + unknown)
        assert unknown in peer.wait_for(raw.TX_NOT_FOUND)
        # Blocks and transactions that nobody asked for are passed over.
        peer.send(raw.TX_NOT_FOUND, b"\1" + unknown)
        peer.send(raw.BLOCK_NOT_FOUND, b"\1" + unknown)
        peer.send(raw.VOTE, b"no vote yet")
        assert peer.is_served(), "it was dropped for nothing"
        # A header that belongs to nothing known leads to a question.
        header = bytearray.fromhex(self.alice.rpc("getblockheader", self.alice.rpc("getbestblockhash"), False))
        header[4:36] = os.urandom(32)
        peer.send(raw.HEADERS, b"\1" + bytes(header))
        peer.wait_for(raw.GET_HEADERS)
        assert peer.is_served(), "it was dropped for an unknown parent"
        peer.close()
        self.alice.wait_until(lambda: self.alice.rpc("getconnectioncount") == 0, "the end of the connection")

    def flood(self):
        """Thousands of announcements of nothing: bounded, and others are served meanwhile."""
        peer, other = self.peer(), self.peer()
        try:
            for _ in range(20):
                peer.send(raw.TX_INVENTORY, b"\xfd" + struct.pack("<H", 500) + os.urandom(500 * 32))
                assert other.is_served(), "another peer is not served during a flood"
        except PeerClosed:
            pass
        peer.close()
        other.close()
        self.alice.wait_until(lambda: self.alice.rpc("getconnectioncount") == 0, "the end of the connections")


if __name__ == "__main__":
    main(PeerMessagesTest)
