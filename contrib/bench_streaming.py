"""How long a player waits: contrib/bench streaming.

A seeder and a viewer on one machine, with everything that leaves the seeder held to a rate (tc: a token bucket on
loopback, in a network namespace of its own, so as root). Each run takes a title of which the viewer has nothing, and
measures from the connect to the content gateway until the first byte of the content has come: of `bytes=0-`, and after
a MiB was read of that and its connection was closed, of a range at an absent place. Every chunk is verified, paid for,
decrypted and written.
"""

import json
import os
import random
import socket
import statistics
import subprocess
import time
import urllib.parse

from framework import CHUNK_BYTES, MIB, SluiceTest

PRICE = "0.00001"  # SLU for each MiB
READ_BYTES = MIB
TIMEOUT_S = 60


def shape(port, rate_mb_s):
    """Holds what is sent from `port` to a rate."""
    def tc(*words):
        subprocess.run(["tc", *words], check=True)
    rate = f"{round(rate_mb_s * 8)}mbit"
    tc("qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb", "default", "10")
    tc("class", "add", "dev", "lo", "parent", "1:", "classid", "1:10", "htb", "rate", "10gbit", "quantum", "60000")
    tc("class", "add", "dev", "lo", "parent", "1:", "classid", "1:20", "htb", "rate", rate, "burst", "128kb", "cburst", "128kb",
       "quantum", "60000")
    tc("filter", "add", "dev", "lo", "parent", "1:", "protocol", "ip", "u32", "match", "ip", "sport", str(port), "0xffff",
       "flowid", "1:20")


class Player:
    """One GET, as far as it is wanted."""

    def __init__(self, url, first):
        parts = urllib.parse.urlsplit(url)
        self.started = time.monotonic()
        self.socket = socket.create_connection((parts.hostname, parts.port), TIMEOUT_S)
        self.socket.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nRange: bytes={first}-\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            got = self.socket.recv(4096)
            if not got:
                raise SystemExit(f"the gateway ended the connection: {head!r}")
            head += got
        status = head.split(b" ", 2)[1]
        if status != b"206":
            raise SystemExit(f"the gateway answered {head.decode(errors='replace')}")
        self.body = head.split(b"\r\n\r\n", 1)[1]
        self.until_bytes(1)
        self.first_byte_ms = (time.monotonic() - self.started) * 1000

    def until_bytes(self, count):
        while len(self.body) < count:
            got = self.socket.recv(256 << 10)
            if not got:
                raise SystemExit("the gateway ended the answer")
            self.body += got

    def close(self):
        self.socket.close()


class Titles:
    """A seeder's titles and a viewer who may open them all and has none."""

    def __init__(self, bin_dir, folder, count, size):
        self.test = test = SluiceTest(bin_dir, folder)
        self.staker = test.node("staker", staker=True)
        self.seeder = test.node("seeder", connect=[self.staker])
        self.viewer = test.node("viewer", connect=[self.staker])
        test.fund(self.staker, self.seeder, 10, self.viewer, 50)
        self.size = size
        self.claims, self.sources = [], []
        with test.mining(self.staker):
            for number in range(count):
                source = os.path.join(folder, f"title-{number}.bin")
                with open(source, "wb") as file:
                    # The first one makes the channel, which then holds enough for all.
                    file.write(os.urandom(size if number > 0 else 8 * size))
                self.sources.append(source)
                job = self.seeder.rpc("publishcontent", path=source, free=True, seed_price=PRICE, ask=PRICE, make_previews=False)["job"]
                self.claims.append(self.seeder.wait_for_job(job)["claim"])
        for claim in self.claims:
            test.wait_for_claim(self.viewer, claim)
        test.connect(self.viewer, self.seeder)

    def warm(self):
        """Opens a payment channel with the first title, and makes it final."""
        with self.test.mining(self.staker):
            url = self.viewer.rpc("getcontenturl", self.claims[0])["url"]
            player = Player(url, 0)
            player.until_bytes(8 * CHUNK_BYTES)
            player.close()
        self.test.generate(self.staker, 3, sync=[self.seeder, self.viewer])
        return player.first_byte_ms

    def run(self, number):
        url = self.viewer.rpc("getcontenturl", self.claims[number])["url"]
        with open(self.sources[number], "rb") as file:
            source = file.read()
        player = Player(url, 0)
        player.until_bytes(READ_BYTES)
        if player.body[:READ_BYTES] != source[:READ_BYTES]:
            raise SystemExit("other bytes came than were published")
        player.close()
        place = random.randrange(self.size * 6 // 10, self.size * 9 // 10)
        seek = Player(url, place)
        if source[place:place + len(seek.body)] != seek.body:
            raise SystemExit("other bytes came than were published")
        seek.close()
        return player.first_byte_ms, seek.first_byte_ms

    def end(self):
        for node in self.test.nodes:
            node.end()


def streaming(options, folder):
    titles = Titles(options.bin_dir, folder, options.runs + 1, options.size_mib * MIB)
    try:
        shape(titles.seeder.p2p_port, options.rate_mb_s)
        cold_ms = titles.warm()
        with titles.test.mining(titles.staker):  # channels that are used up are followed by others
            runs = [titles.run(number + 1) for number in range(options.runs)]
    finally:
        titles.end()
    result = {"rate_mb_s": options.rate_mb_s, "run_count": options.runs, "cold_first_byte_ms": cold_ms}
    for name, values in zip(("first_byte", "seek"), zip(*runs)):
        result[f"{name}_ms"] = statistics.median(values)
        result[f"{name}_p90_ms"] = sorted(values)[int(len(values) * 0.9)]
        result[f"{name}_max_ms"] = max(values)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{options.runs} titles of {options.size_mib} MiB over {options.rate_mb_s} MB/s; the first, which opens a channel, "
          f"after {cold_ms:.0f} ms")
    for name, what in (("first_byte", "first byte"), ("seek", "seek")):
        print(f"{what:12} median {result[name + '_ms']:6.0f} ms   p90 {result[name + '_p90_ms']:6.0f} ms   most {result[name + '_max_ms']:6.0f} ms")


def add_mode(modes):
    mode = modes.add_parser("streaming", help="how long a player waits on a slow link")
    mode.set_defaults(run=streaming)
    mode.add_argument("--runs", type=int, default=20, help="titles (default: 20)")
    mode.add_argument("--size-mib", type=int, default=24, help="size of each (default: 24)")
    mode.add_argument("--rate-mb-s", type=float, default=10, help="of the link, in 10^6 bytes a second (default: 10)")
