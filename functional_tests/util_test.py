#!/usr/bin/env python3
"""sluice-util: content roots, sealing and opening, and the verifiers, on public vectors and on bad input."""

import hashlib
import json
import os
import resource
import subprocess

from framework import SLICE_BYTES, SluiceTest, assert_equal, assert_one_line, main

VECTORS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "vectors")
LEAF_BYTES = 16 << 10
KEY = "22" * 32
SALT = "33" * 32


def pieces_root(data):
    """BEP 52: SHA-256 tree over 16 KiB leaves, filled up with zero hashes to a power of two."""
    layer = [hashlib.sha256(data[at:at + LEAF_BYTES]).digest() for at in range(0, len(data), LEAF_BYTES)]
    while len(layer) & (len(layer) - 1):
        layer.append(bytes(32))
    while len(layer) > 1:
        layer = [hashlib.sha256(layer[i] + layer[i + 1]).digest() for i in range(0, len(layer), 2)]
    return layer[0].hex()


class UtilTest(SluiceTest):
    def run(self):
        self.content_roots()
        self.seal_and_open()
        self.seal_and_open_folder()
        self.full_disk()
        self.vrf()
        self.schnorr()
        self.inputs()
        self.usage()

    def util(self, *args, stdin=None, status=0, preexec=None):
        """Runs it; returns stdout. With another status: the one line on stderr."""
        command = [os.path.join(self.bin_dir, "sluice-util"), *args]
        done = subprocess.run(command, capture_output=True, text=True, input=stdin, timeout=120, check=False, preexec_fn=preexec)
        assert_equal(done.returncode, status, f"exit status of {args}: {done.stderr}")
        if status == 0:
            return done.stdout
        return done.stderr

    def refused(self, *args, says, stdin=None, preexec=None):
        line = self.util(*args, stdin=stdin, status=1, preexec=preexec)
        assert_one_line(line)
        assert says in line, f"{line!r} does not say {says!r}"

    def content_roots(self):
        for size in (1, 5, LEAF_BYTES - 1, LEAF_BYTES, LEAF_BYTES + 1, 3 * LEAF_BYTES, 262_144, 262_145, 1_000_000, (1 << 20), (1 << 20) + 1):
            path = self.file("plain", size, seed=size)
            with open(path, "rb") as file:
                expected = pieces_root(file.read())
            assert_equal(self.util("content-root", path).strip(), expected, f"content root of {size} bytes")
            told = json.loads(self.util("content-root", path, "--json"))
            assert_equal((told["root"], told["size"], told["leaves"]), (expected, size, -(-size // LEAF_BYTES)), "as JSON")
        self.refused("content-root", self.path("nothing"), says="does not exist")
        self.refused("content-root", self.file("empty", 0), says="empty")
        self.refused("content-root", self.folder, says="folder")
        self.refused("content-root", self.file("plain", 5) + "/inside", says="plain")
        os.symlink("/nowhere/at/all", self.path("dangling"))
        self.refused("content-root", self.path("dangling"), says="dangling")

    def seal_and_open(self):
        for size in (1, SLICE_BYTES - 1, SLICE_BYTES, SLICE_BYTES + 1, 3_000_000):
            plain, sealed, opened = self.file("plain", size), self.path("sealed"), self.path("opened")
            told = json.loads(self.util("seal", plain, "--out", sealed, "--key", KEY, "--salt", SALT))
            chunks = -(-size // SLICE_BYTES)
            assert_equal(told["size"], size + 16 * chunks, "size of the sealed file")
            assert_equal(os.path.getsize(sealed), told["size"], "size on disk")
            assert_equal(self.util("content-root", sealed).strip(), told["root"], "its root")
            self.util("open", sealed, "--out", opened, "--key", told["key"], "--salt", told["salt"])
            self.assert_same_file(plain, opened)
            os.remove(sealed)
            os.remove(opened)
        # A fresh key and salt each time.
        one, two = (json.loads(self.util("seal", plain, "--out", self.path(f"sealed{i}"))) for i in (1, 2))
        assert one["key"] != two["key"] and one["salt"] != two["salt"] and one["root"] != two["root"]
        sealed = self.path("sealed1")
        with open(self.path("key"), "w", encoding="ascii") as file:
            file.write(one["key"] + "\n")
        self.util("open", sealed, "--out", self.path("opened"), "--key-file", self.path("key"), "--salt", one["salt"])
        os.remove(self.path("opened"))

        opening = ("open", sealed, "--out", self.path("opened"))
        key, salt = ("--key", one["key"]), ("--salt", one["salt"])
        self.refused(*opening, "--key", two["key"], *salt, says="key")
        self.refused(*opening, *key, "--salt", two["salt"], says="key")
        self.refused(*opening, "--key", "00" * 32, *salt, says="key")
        self.refused(*opening, "--key", "zz", *salt, says="64 hexadecimal digits")
        self.refused(*opening, *key, "--salt", "12", says="64 hexadecimal digits")
        self.refused(*opening, *salt, says="key")
        self.refused(*opening, "--key-file", self.path("nothing"), *salt, says="nothing")
        self.refused("open", self.path("nothing"), "--out", self.path("opened"), *key, *salt, says="does not exist")
        self.refused("open", self.folder, "--out", self.path("opened"), *key, *salt, says="folder")
        self.refused("open", sealed, "--out", self.path("no/such/opened"), *key, *salt, says="no/such")
        self.refused("seal", self.file("empty", 0), "--out", self.path("opened"), says="empty")
        self.refused("seal", self.path("nothing"), "--out", self.path("opened"), says="does not exist")
        self.refused("seal", plain, "--out", self.path("no/such/sealed"), says="no/such")
        # One bit of the sealed file, and its end.
        for damage in (lambda f: f.write(b"x"), lambda f: f.truncate(os.path.getsize(sealed) - 1), lambda f: f.truncate(10)):
            with open(sealed, "r+b") as file:
                damage(file)
            self.refused(*opening, *key, *salt, says="")
        assert_equal([f for f in os.listdir(self.folder) if "opened" in f], [], "files left by what failed")

    def seal_and_open_folder(self):
        self.file("tree/a", 700_000, 1)
        self.file("tree/b/c", 3, 2)
        told = json.loads(self.util("seal", self.path("tree"), "--out", self.path("tree.sealed")))
        assert told["manifest_chunks"] > 0, told
        arguments = ("--key", told["key"], "--salt", told["salt"], "--manifest-chunks", str(told["manifest_chunks"]))
        self.util("open", self.path("tree.sealed"), "--out", self.path("tree2"), *arguments)
        for name in ("a", "b/c"):
            self.assert_same_file(self.path("tree/" + name), self.path("tree2/" + name))
        self.refused("open", self.path("tree.sealed"), "--out", self.path("tree2"), *arguments, says="tree2")

    def full_disk(self):
        """A file size limit stands in for a full disk."""
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        plain = self.file("plain", 2_000_000)
        before = sorted(os.listdir(self.folder))
        self.refused("seal", plain, "--out", self.path("toolarge"), says="toolarge", preexec=limit)
        assert_equal(sorted(os.listdir(self.folder)), before, "files after a failed seal")

    def lines(self, command, entries, status=0):
        text = "".join(json.dumps(entry) + "\n" if isinstance(entry, dict) else entry + "\n" for entry in entries)
        command = [os.path.join(self.bin_dir, "sluice-util"), command]
        done = subprocess.run(command, capture_output=True, text=True, input=text, timeout=120, check=False)
        assert_equal(done.returncode, status, f"exit status of {command}: {done.stderr}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def vectors(self, name):
        with open(os.path.join(VECTORS, name), encoding="utf-8") as file:
            return json.load(file)

    def vrf(self):
        vectors = self.vectors("rfc9381_tai.json")
        entries = [{"public_key": v["public"], "alpha": v["alpha"], "pi": v["proof"]} for v in vectors]
        answers = self.lines("vrf-verify", entries)
        assert_equal([a["valid"] for a in answers], [True] * len(vectors), "the RFC's proofs")
        assert_equal([a["beta"] for a in answers], [v["output"] for v in vectors], "the RFC's outputs")
        bad = [{**entries[0], "alpha": "00"}, {**entries[0], "public_key": "00" * 32}, {**entries[0], "pi": entries[0]["pi"][:-2]}, {"public_key": "zz"}, "nonsense"]
        answers = self.lines("vrf-verify", [*bad, entries[1]])
        assert_equal([a["valid"] for a in answers], [False] * len(bad) + [True], "false proofs, and a true one after them")
        assert all("beta" not in a for a in answers[:-1])

    def schnorr(self):
        vectors = self.vectors("bip340.json")
        entries = [{"public_key": v["public"], "message": v["message"], "signature": v["signature"]} for v in vectors]
        answers = self.lines("schnorr-verify", entries)
        assert_equal([a["valid"] for a in answers], [v["valid"] for v in vectors], "BIP340's signatures")
        assert True in [a["valid"] for a in answers] and False in [a["valid"] for a in answers]

    def inputs(self):
        vector = self.vectors("bip341_sighash.json")["transaction"]
        prevouts = []
        for spent in vector["spent"]:
            script = bytes.fromhex(spent["script"])
            prevouts.append((spent["amount"].to_bytes(8, "little") + bytes([len(script)]) + script).hex())
        witnesses = read_witnesses(bytes.fromhex(vector["signed"]))
        taproot = [i for i, spent in enumerate(vector["spent"]) if spent["script"].startswith("5120")]
        assert len(taproot) >= 5
        entries = []
        for index in taproot:
            witness = witnesses[index]
            broken = [item[:-2] + f"{int(item[-2:], 16) ^ 1:02x}" if i == 0 else item for i, item in enumerate(witness)]
            entries.append({"tx": vector["unsigned"], "prevouts": prevouts, "index": index, "flags": "P2SH,WITNESS,TAPROOT",
                            "success": {"scriptSig": "", "witness": witness}, "failure": {"scriptSig": "", "witness": broken}})
        other = next(i for i in range(len(prevouts)) if i not in taproot)
        skipped = [{**entries[0], "flags": "P2SH,WITNESS"}, {**entries[0], "index": other}]
        answers = self.lines("verify-input", entries + skipped)
        assert_equal([a["verdict"] for a in answers], ["ok"] * len(entries) + ["skipped"] * 2, "verdicts")
        assert_equal([a["line"] for a in answers], list(range(1, len(answers) + 1)), "line numbers")
        assert all(a["success_valid"] is True and a["failure_valid"] is False for a in answers[:len(entries)]), answers
        swapped = {**entries[0], "success": entries[0]["failure"]}
        answers = self.lines("verify-input", [entries[1], swapped], status=1)
        assert_equal([a["verdict"] for a in answers], ["ok", "mismatch"], "verdicts with a false witness")

    def usage(self):
        assert "content-root" in self.util("--help")
        for args in ([], ["nosuch"], ["seal"], ["content-root"], ["content-root", "a", "--nosuch"], ["vrf-verify", self.path("nothing")]):
            command = [os.path.join(self.bin_dir, "sluice-util"), *args]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode != 0 and done.stdout == "", f"{args}: {done}"
            assert_one_line(done.stderr)


def read_witnesses(tx):
    """The witness stacks of a signed transaction, as hex."""
    at = 6

    def number():
        nonlocal at
        first = tx[at]
        width = {0xfd: 2, 0xfe: 4, 0xff: 8}.get(first, 0)
        value = int.from_bytes(tx[at + 1:at + 1 + width], "little") if width else first
        at += 1 + width
        return value

    def take(count):
        nonlocal at
        at += count
        return tx[at - count:at]
    inputs = number()
    for _ in range(inputs):
        take(36)
        take(number())
        take(4)
    for _ in range(number()):
        take(8)
        take(number())
    return [[take(number()).hex() for _ in range(number())] for _ in range(inputs)]


if __name__ == "__main__":
    main(UtilTest)
