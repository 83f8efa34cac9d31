#!/usr/bin/env python3
"""A downloader that never pays gets at most one credit window from each seeder; honest ones are served beside it."""

from decimal import Decimal

from framework import CHUNK_BYTES, SLICE_BYTES, SluiceTest, assert_equal, main

SIZE = 20 * SLICE_BYTES   # whole chunks, so that what a seeder gives on credit is one of them


class ThiefTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        creator = self.node("creator", connect=[staker])
        seeders = [self.node(f"seeder{i}", connect=[staker, creator]) for i in (1, 2)]
        thief = self.node("thief", "-testnovouchers", connect=[staker, *seeders])
        honest = self.node("honest", connect=[staker, *seeders])
        self.fund(staker, creator, 10, seeders[0], 1, seeders[1], 1, thief, 50, honest, 50)
        source = self.file("film.bin", SIZE)
        with self.mining(staker):
            claim = self.publish(creator, source, 5, "0.001")
            for seeder in seeders:
                self.seed(seeder, claim)
            self.buy(thief, claim)
            self.buy(honest, claim)

            # The thief's channels are opened, confirmed and final; what it gets is a chunk from each seeder, and no more.
            job = thief.rpc("getcontent", claim, self.path("stolen"))["job"]
            thief.wait_until(lambda: self.done(thief, job) >= CHUNK_BYTES, "the first chunk")
            for seeder in seeders:
                seeder.wait_until(lambda seeder=seeder: self.sent(seeder, thief) >= CHUNK_BYTES, "its chunk for the thief")
            # Blocks and time do not help it: meanwhile an honest buyer gets all, on the same seeders.
            self.generate(staker, 5, sync=[thief, *seeders])
            self.get(honest, claim, self.path("bought"))
            self.assert_same_file(source, self.path("bought"))
            self.generate(staker, 5, sync=[thief, *seeders])
            # A new connection brings no new credit.
            for seeder in seeders:
                self.disconnect(thief, seeder)
                before = self.done(thief, job)
                self.connect(thief, seeder)
                self.generate(staker, 1, sync=[thief, seeder])
                assert_equal(self.done(thief, job), before, "stolen bytes after connecting again")

        stolen = self.done(thief, job)
        assert CHUNK_BYTES <= stolen <= len(seeders) * CHUNK_BYTES, f"the thief has {stolen} bytes"
        for seeder in seeders:
            served = sum(channel["served_bytes"] for channel in seeder.rpc("listchannels")["earning"] if channel["node"] == thief.node_id())
            assert_equal(served, CHUNK_BYTES, f"bytes that {seeder.name} gave to the thief")
        assert_equal(thief.rpc("getjob", job)["state"], "running", "the thief's download")
        takes = [Decimal(seeder.rpc("settlechannels")["amount"]) for seeder in seeders]
        assert all(take > 0 for take in takes), f"honest payments were not settled: {takes}"
        self.settle_chain(staker, [creator, *seeders, thief, honest])
        self.assert_conserved([staker, creator, *seeders, thief, honest])

    @staticmethod
    def done(node, job):
        return node.rpc("getjob", job)["progress"]["done"]

    @staticmethod
    def sent(seeder, to):
        return sum(peer["bytessent"] for peer in seeder.rpc("getpeerinfo") if peer["nodeid"] == to.node_id())


if __name__ == "__main__":
    main(ThiefTest)
