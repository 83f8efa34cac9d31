#!/usr/bin/env python3
"""contrib/demo does the whole job in real time, through sluice-cli alone, and says so as JSON."""

import json
import os
import subprocess
import sys
from decimal import Decimal

from framework import MIB, SluiceTest, assert_equal, main

DEMO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "contrib", "demo.py")


class DemoTest(SluiceTest):
    def run(self):
        self.file("folder/a.bin", MIB, 1)
        self.file("folder/deep/b.bin", 100, 2)
        sources = [self.file("film.bin", 2 * MIB), self.path("folder"), self.file("byte", 1, 3)]
        # Side by side: each has its own ports and folders, and most of the time is waiting for slots.
        demos = [self.start_demo(source, "--json", "--dir", self.path(f"work{i}")) for i, source in enumerate(sources)]
        try:
            results = [self.result(demo) for demo in demos]
        finally:
            for demo in demos:
                demo.terminate()   # it ends its nodes; nothing if it has ended
                demo.wait(60)
        self.assert_same_file(sources[0], results[0]["opened"])
        assert_equal(results[0]["sha256"]["original"], self.sha256(sources[0]), "SHA-256 of the original")
        for name in ("a.bin", "deep/b.bin"):
            self.assert_same_file(os.path.join(sources[1], name), os.path.join(results[1]["opened"], name))
        self.assert_same_file(sources[2], results[2]["opened"])
        self.bad_input()

    def result(self, demo):
        out, err = demo.communicate(timeout=200)
        assert demo.returncode == 0, f"the demo failed: {out}\n{err[-3000:]}"
        result = json.loads(out)
        assert_equal((result["ok"], result["balances"]["conserved"]), (True, True), "ok and conserved")
        assert_equal(result["sha256"]["opened"], result["sha256"]["original"], "SHA-256 of the opened and the original")
        change = {name: Decimal(amount) for name, amount in result["balances"]["change"].items()}
        assert change["creator"] > 4 and change["buyer"] < -5, change
        assert len(result["steps"]) > 10 and all(step["seconds"] >= 0 for step in result["steps"])
        assert "without the key it does not open" in err
        return result

    def bad_input(self):
        """Ends before anything is started."""
        for args in (["/no/such/file"], ["--seeders", "0"], ["--seeders", "9"], ["--price", "0"], ["--price", "-1"], ["--price", "x"], ["--dir", self.path("work0")]):
            demo = self.start_demo(*args, "--json")
            demo.communicate(timeout=60)
            assert demo.returncode != 0, f"{args} succeeded"

    def start_demo(self, *args):
        return subprocess.Popen([sys.executable, DEMO, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, "SLUICE_BIN_DIR": self.bin_dir})


if __name__ == "__main__":
    main(DemoTest)
