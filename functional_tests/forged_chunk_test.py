#!/usr/bin/env python3
"""A seeder's stored content is altered on its disk: the forged leaf is refused, the peer is named and dropped, the download ends well."""

import glob
import os

from framework import CHUNK_BYTES, MIB, SluiceTest, assert_equal, main

SIZE = 4 * MIB


class ForgedChunkTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        creator = self.node("creator", connect=[staker])
        forger = self.node("forger", connect=[staker, creator])
        honest = self.node("honest", connect=[staker, creator])
        buyer = self.node("buyer", connect=[staker])
        self.fund(staker, creator, 10, buyer, 50)
        source = self.file("film.bin", SIZE)
        with self.mining(staker):
            claim = self.publish(creator, source, 5)
            for seeder in (forger, honest):
                self.seed(seeder, claim)
            self.buy(buyer, claim)
        creator.stop()

        # One bit of each chunk but the first is turned over.
        forger.stop()
        data, = glob.glob(forger.chain_dir("content", "*.data"))
        with open(data, "r+b") as file:
            for at in range(CHUNK_BYTES + 17, os.path.getsize(data), CHUNK_BYTES):
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 4]))
        forger.start(f"-addnode=127.0.0.1:{staker.p2p_port}")

        # With the forger alone the download does not end, and the forger is found out.
        self.connect(buyer, forger)
        target = self.path("opened")
        job = buyer.rpc("getcontent", claim, target)["job"]
        buyer.wait_until(lambda: not self.is_connected(buyer, forger), "the end of the connection to the forger")
        buyer.wait_for_log("broke the rules: a forged leaf of chunk")
        assert_equal(buyer.rpc("getjob", job)["state"], "running", "the download")
        assert not os.path.exists(target)
        assert_equal(buyer.rpc("getjob", job)["progress"]["done"] <= CHUNK_BYTES, True, "nothing but the one good chunk is taken")

        # It may not come back.
        forger.rpc("addnode", f"127.0.0.1:{buyer.p2p_port}", "onetry")
        self.connect(buyer, honest)
        buyer.wait_for_job(job)
        self.assert_same_file(source, target)
        assert not self.is_connected(buyer, forger), "the forger is connected again"


if __name__ == "__main__":
    main(ForgedChunkTest)
