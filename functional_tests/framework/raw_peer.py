"""A peer that speaks the encrypted protocol byte by byte, so that a test can say what no node would. Pure Python: slow, and for tests alone."""

import hashlib
import hmac
import os
import socket
import struct

MAGIC = bytes.fromhex("f3511ce9")   # of regtest
PRIME = 2**255 - 19
MAX_FRAME_PAYLOAD = (16 << 10) + 64
MORE_FRAGMENTS = 0x80

HELLO, PING, PONG, GET_HEADERS, HEADERS, GET_BLOCKS, BLOCK, BLOCK_NOT_FOUND = range(1, 9)
TX_INVENTORY, GET_TRANSACTIONS, GET_PARENTS, TRANSACTION, TX_NOT_FOUND, GET_ADDRESSES, ADDRESSES, VOTE = range(9, 17)
CONTENT_CONTROL, CONTENT_CHUNK = 17, 18


def x25519(scalar, point):
    """RFC 7748."""
    k = bytearray(scalar)
    k[0] &= 248
    k[31] = k[31] & 127 | 64
    k = int.from_bytes(k, "little")
    x1 = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, x1, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, z2, x3, z3 = x3, z3, x2, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % PRIME, x1 * (da - cb) ** 2 % PRIME
        x2, z2 = aa * bb % PRIME, e * (aa + 121665 * e) % PRIME
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, PRIME - 2, PRIME) % PRIME).to_bytes(32, "little")


def chacha20(key, nonce, counter, data):
    """RFC 8439."""
    out = bytearray()
    mask = 0xffffffff
    for at in range(0, len(data), 64):
        state = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574, *struct.unpack("<8L", key), counter + at // 64, *struct.unpack("<3L", nonce)]
        s = list(state)
        for _ in range(10):
            for a, b, c, d in ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)):
                for x, y, z, rotation in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                    s[x] = s[x] + s[y] & mask
                    v = s[z] ^ s[x]
                    s[z] = (v << rotation | v >> 32 - rotation) & mask
        block = struct.pack("<16L", *[(v + w) & mask for v, w in zip(s, state)])
        out += bytes(v ^ w for v, w in zip(data[at:at + 64], block))
    return bytes(out)


def aead_tag(key, nonce, sealed, additional):
    one_time = chacha20(key, nonce, 0, bytes(32))
    r = int.from_bytes(one_time[:16], "little") & 0x0ffffffc0ffffffc0ffffffc0fffffff
    text = additional + bytes(-len(additional) % 16) + sealed + bytes(-len(sealed) % 16) + struct.pack("<QQ", len(additional), len(sealed))
    total = 0
    for at in range(0, len(text), 16):
        total = (total + int.from_bytes(text[at:at + 16] + b"\1", "little")) * r % ((1 << 130) - 5)
    return ((total + int.from_bytes(one_time[16:], "little")) & (1 << 128) - 1).to_bytes(16, "little")


class Cipher:
    """One direction of a connection."""

    def __init__(self, key):
        self.key = key
        self.counter = 0

    def nonce(self):
        self.counter += 1
        return bytes(4) + struct.pack("<Q", self.counter - 1)

    def seal(self, plain, additional):
        nonce = self.nonce()
        sealed = chacha20(self.key, nonce, 1, plain)
        return sealed + aead_tag(self.key, nonce, sealed, additional)

    def open(self, sealed, additional):
        nonce = self.nonce()
        assert hmac.compare_digest(sealed[-16:], aead_tag(self.key, nonce, sealed[:-16], additional)), "the node's tag is false"
        return chacha20(self.key, nonce, 1, sealed[:-16])


class PeerClosed(Exception):
    """The node ended the connection."""


class RawPeer:
    """An initiator of Noise_XX_25519_ChaChaPoly_SHA256 that sends what it is told."""

    def __init__(self, port, genesis_hex, secret=None, hello=True):
        self.stream = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.secret = secret or os.urandom(32)
        self.genesis = bytes.fromhex(genesis_hex)
        self._handshake()
        if hello:
            self.send(HELLO, self.hello())
            assert self.receive()[0] == HELLO, "the node does not greet"

    def _handshake(self):
        base = (9).to_bytes(32, "little")
        self.hash = self.chain = b"Noise_XX_25519_ChaChaPoly_SHA256"
        self.cipher = None
        self._mix_hash(b"sluice" + MAGIC + self.genesis)
        ephemeral = os.urandom(32)
        public = x25519(ephemeral, base)
        self._mix_hash(public)
        self._mix_hash(b"")
        self.stream.sendall(MAGIC + self.genesis[:8] + public)

        assert self._read(12) == MAGIC + self.genesis[:8], "the node's greeting"
        theirs = self._read(32)
        self._mix_hash(theirs)
        self._mix_key(x25519(ephemeral, theirs))
        node_key = self._open(self._read(48))
        self._mix_key(x25519(ephemeral, node_key))
        self._open(self._read(16))
        message = self._seal(x25519(self.secret, base))
        self._mix_key(x25519(self.secret, theirs))
        message += self._seal(b"")
        self.stream.sendall(message)
        self.sending, self.receiving = (Cipher(key) for key in self._derive(b""))

    def _mix_hash(self, data):
        self.hash = hashlib.sha256(self.hash + data).digest()

    def _derive(self, secret):
        early = hmac.digest(self.chain, secret, "sha256")
        first = hmac.digest(early, b"\1", "sha256")
        return first, hmac.digest(early, first + b"\2", "sha256")

    def _mix_key(self, secret):
        self.chain, key = self._derive(secret)
        self.cipher = Cipher(key)

    def _seal(self, plain):
        sealed = self.cipher.seal(plain, self.hash)
        self._mix_hash(sealed)
        return sealed

    def _open(self, sealed):
        plain = self.cipher.open(sealed, self.hash)
        self._mix_hash(sealed)
        return plain

    def _read(self, count):
        data = b""
        while len(data) < count:
            try:
                more = self.stream.recv(count - len(data))
            except ConnectionResetError as error:
                raise PeerClosed from error
            if not more:
                raise PeerClosed
            data += more
        return data

    @staticmethod
    def hello(version=1, services=0, agent=b"/raw:1/", height=0, port=0):
        return struct.pack("<LQ", version, services) + bytes([len(agent)]) + agent + struct.pack("<LH", height, port)

    def send(self, message_type, payload=b""):
        """One frame. The type may have the MORE_FRAGMENTS bit."""
        plain = bytes([message_type]) + payload
        length = struct.pack("<H", len(plain) + 16)
        self.send_raw(length + self.sending.seal(plain, length))

    def send_raw(self, data):
        try:
            self.stream.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise PeerClosed from error

    def receive(self):
        """The next frame: (type, payload). Raises PeerClosed at the end of the connection."""
        length = self._read(2)
        plain = self.receiving.open(self._read(struct.unpack("<H", length)[0]), length)
        return plain[0], plain[1:]

    def wait_for(self, message_type):
        """The next message of this type; others are passed over."""
        while True:
            received, payload = self.receive()
            if received == message_type:
                return payload

    def wait_until_closed(self):
        try:
            while True:
                self.receive()
        except PeerClosed:
            self.close()

    def is_served(self):
        """Whether the node still answers."""
        try:
            nonce = os.urandom(8)
            self.send(PING, nonce)
            while self.wait_for(PONG) != nonce:
                pass
            return True
        except PeerClosed:
            return False

    def close(self):
        self.stream.close()
