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
        source = self.file("film.bin", 2 * MIB)
        folder = self.path("work")
        done = self.demo(source, "--json", "--dir", folder)
        assert done.returncode == 0, f"the demo failed: {done.stdout}\n{done.stderr[-3000:]}"
        result = json.loads(done.stdout)
        assert_equal(result["ok"], True, "ok")
        assert_equal(result["sha256"]["original"], self.sha256(source), "SHA-256 of the original")
        self.assert_same_file(source, result["opened"])
        balances = result["balances"]
        assert_equal(balances["conserved"], True, "conserved")
        change = {name: Decimal(amount) for name, amount in balances["change"].items()}
        assert change["creator"] > 4 and change["buyer"] < -5, change
        assert change["seeder1"] + change["seeder2"] > 0, change
        assert all(step["seconds"] >= 0 for step in result["steps"]) and len(result["steps"]) > 10
        assert "without the key it does not open" in done.stderr

        # Bad input ends before anything starts.
        for args in (["/no/such/file"], ["--seeders", "0"], ["--price", "0"], ["--price", "-1"], ["--dir", folder]):
            done = self.demo(*args, "--json")
            assert done.returncode != 0, f"{args} succeeded"

    def demo(self, *args):
        return subprocess.run([sys.executable, DEMO, *args], capture_output=True, text=True, timeout=200, check=False,
                              env={**os.environ, "SLUICE_BIN_DIR": self.bin_dir})


if __name__ == "__main__":
    main(DemoTest)
