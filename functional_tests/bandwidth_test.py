#!/usr/bin/env python3
"""Limits on upload and download hold for content alone: it comes at the rate that is set, blocks pass it, and lifting the limit frees it at once."""

import time

from framework import CHUNK_BYTES, MIB, SluiceTest, assert_equal, assert_refused, main

SIZE = 3 * MIB
KIB_S = 512


class BandwidthTest(SluiceTest):
    def run(self):
        staker = self.node("staker", staker=True)
        seeder = self.node("seeder", "-maxupload=0@22:00-06:00", f"-maxupload={KIB_S}", "-maxuploadperpeer=100000", connect=[staker])
        # All traffic of the buyer is with the seeder.
        buyer = self.node("buyer", connect=[seeder])
        self.fund(staker, seeder, 10)
        with self.mining(staker):
            claim = self.publish(seeder, self.file("film.bin", SIZE), 1)
        self.wait_for_claim(buyer, claim)

        limits = seeder.rpc("getbandwidth")
        assert_equal(limits["upload"]["schedule"], [str(KIB_S), "0@22:00-06:00"], "the options' schedule")
        assert_equal(limits["upload_per_peer"], {"schedule": ["100000"], "now_kib_s": 100_000}, "the limit of each peer")
        limits = seeder.rpc("setbandwidth", upload=str(KIB_S))
        assert_equal(limits["upload"], {"schedule": [str(KIB_S)], "now_kib_s": KIB_S}, "the limit that was set")
        for bad in ("fast", "-1", "5@08:00", "5@08:00-08:00", ""):
            assert_refused(lambda bad=bad: seeder.rpc("setbandwidth", upload=bad), says="KiB/s")
        assert_equal(seeder.rpc("getbandwidth")["upload"]["schedule"], [str(KIB_S)], "the limit after refused ones")

        # At the rate: an eighth of a second's worth and a frame may go ahead of it.
        started = time.monotonic()
        buyer.wait_for_job(buyer.rpc("seedcontent", claim=claim)["job"])
        took = time.monotonic() - started
        least = (SIZE - KIB_S * 1024 / 8 - 64 * 1024) / (KIB_S * 1024)
        assert took >= least, f"{SIZE} bytes came in {took:.2f} s, at {KIB_S} KiB/s they take {least:.2f}"

        # Almost nothing passes: blocks do, and once the limit is gone the rest does.
        other = self.node("other", connect=[seeder])
        self.wait_for_claim(other, claim)
        seeder.rpc("setbandwidth", upload="1", upload_per_peer="0")
        job = other.rpc("seedcontent", claim=claim)["job"]
        other.wait_until(lambda: any(peer["bytesrecv"] > 16_000 for peer in other.rpc("getpeerinfo")), "the first leaf")
        self.generate(staker, 3, sync=[other])
        assert_equal(other.rpc("getjob", job)["state"], "running", "the download at 1 KiB/s")
        seeder.rpc("setbandwidth", upload="0")
        other.wait_for_job(job)

        self.download(staker, seeder, claim)

    def download(self, staker, seeder, claim):
        """The same for what is asked of all peers together: a second's worth and a chunk may be asked for ahead of the rate."""
        reader = self.node("reader", f"-maxdownload={KIB_S}", "-maxdownload=0@22:00-22:01", connect=[seeder])
        self.wait_for_claim(reader, claim)
        assert_equal(reader.rpc("getbandwidth")["download"]["schedule"], [str(KIB_S), "0@22:00-22:01"], "the options' schedule")
        limits = reader.rpc("setbandwidth", download=str(KIB_S))
        assert_equal(limits["download"], {"schedule": [str(KIB_S)], "now_kib_s": KIB_S}, "the limit that was set")
        assert_refused(lambda: reader.rpc("setbandwidth", download="5@8-9"), says="KiB/s")
        started = time.monotonic()
        reader.wait_for_job(reader.rpc("seedcontent", claim=claim)["job"])
        took = time.monotonic() - started
        least = (SIZE - KIB_S * 1024 - CHUNK_BYTES) / (KIB_S * 1024)
        assert took >= least, f"{SIZE} bytes came in {took:.2f} s, at {KIB_S} KiB/s they take {least:.2f}"

        # 8 KiB/s: after the first chunk nothing for half a minute, but for blocks; without the limit the rest at once.
        slow = self.node("slow", "-maxdownload=8", connect=[seeder])
        self.wait_for_claim(slow, claim)
        job = slow.rpc("seedcontent", claim=claim)["job"]
        slow.wait_until(lambda: any(peer["bytesrecv"] > CHUNK_BYTES for peer in slow.rpc("getpeerinfo")), "the first chunk")
        self.generate(staker, 3, sync=[slow])
        assert_equal(slow.rpc("getjob", job)["state"], "running", "the download at 8 KiB/s")
        came = sum(peer["bytesrecv"] for peer in slow.rpc("getpeerinfo"))
        assert came < 3 * CHUNK_BYTES, f"{came} bytes came at 8 KiB/s"
        slow.rpc("setbandwidth", download="0")
        slow.wait_for_job(job)


if __name__ == "__main__":
    main(BandwidthTest)
