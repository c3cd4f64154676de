"""Checks of the repository itself, with Python's standard library alone: dependencies, licences, layout, stray paths."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# The rooms of the house; whatever else stands at the top level belongs into one of them.
TOP_LEVEL = {
    ".ci", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "Cargo.lock", "Cargo.toml", "LICENSE", "Makefile", "README.md", "SECURITY.md",
    "benches", "clippy.toml", "deny.toml", "deploy", "docs", "fuzz", "kafscale-core", "kafscale-operator", "kafscale-proxy", "kafscale-server",
    "rust-toolchain.toml", "rustfmt.toml", "tests",
}
# Home folders and work folders of single machines; the letters are apart so that this file does not find itself.
MACHINE_PATHS = re.compile("|".join([r"/ro" r"ot/", r"/wo" r"rk/", r"/ho" r"me/[a-z]", r"/tm" r"p/kf", r"/Us" r"ers/"]))


def output(*command):
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout


def tracked():
    return [Path(name) for name in output("git", "ls-files", "-z").split("\0") if name]


def lock_files():
    return [ROOT / path for path in tracked() if path.name == "Cargo.lock"]


def allowed(expression, licences):
    """Whether an SPDX licence expression can be satisfied with the allowed licences. `/` is the old way to write OR."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", expression.replace(" WITH ", "+WITH+"))
    at = 0

    def either():
        nonlocal at
        held = both()
        while at < len(tokens) and tokens[at] in ("OR", "/"):
            at += 1
            held = both() or held
        return held

    def both():
        nonlocal at
        held = one()
        while at < len(tokens) and tokens[at] == "AND":
            at += 1
            held = one() and held
        return held

    def one():
        nonlocal at
        token = tokens[at]
        at += 1
        if token == "(":
            held = either()
            if at >= len(tokens) or tokens[at] != ")":
                raise ValueError(f"unbalanced: {expression}")
            at += 1
            return held
        return token.replace("+WITH+", " WITH ") in licences

    held = either()
    if at != len(tokens):
        raise ValueError(f"cannot read the licence expression {expression!r}")
    return held


class Tree(unittest.TestCase):
    def setUp(self):
        with open(ROOT / "deny.toml", "rb") as file:
            self.deny = tomllib.load(file)

    def test_licence_expressions_are_understood(self):
        mit = {"MIT", "Apache-2.0 WITH LLVM-exception"}
        for expression, held in {"MIT": True, "GPL-3.0": False, "GPL-3.0 OR MIT": True, "MIT/GPL-3.0": True, "MIT AND GPL-3.0": False,
                                 "(GPL-3.0 OR MIT) AND MIT": True, "(GPL-3.0 OR MIT) AND ISC": False, "Apache-2.0 WITH LLVM-exception": True}.items():
            self.assertEqual(allowed(expression, mit), held, expression)

    def test_no_banned_crate_is_in_any_lock_file(self):
        banned = {entry["name"] for entry in self.deny["bans"]["deny"]}
        self.assertGreaterEqual(banned, {"aws-lc-sys", "openssl-sys"})
        self.assertIn(ROOT / "Cargo.lock", lock_files())
        for file in lock_files():
            with open(file, "rb") as lock:
                names = {package["name"] for package in tomllib.load(lock)["package"]}
            self.assertEqual(names & banned, set(), f"{file.relative_to(ROOT)} pulls in banned crates")

    def test_every_crate_comes_from_the_registry_or_this_repository(self):
        for file in lock_files():
            with open(file, "rb") as lock:
                sources = {package.get("source", "") for package in tomllib.load(lock)["package"]}
            self.assertEqual({source for source in sources if source and not source.startswith("registry+")}, set(), file)

    def test_every_licence_is_allowed(self):
        licences = set(self.deny["licenses"]["allow"])
        packages = {}
        for file in lock_files():
            metadata = json.loads(output("cargo", "metadata", "--format-version", "1", "--locked", "--all-features", "--manifest-path", str(file.with_name("Cargo.toml"))))
            packages.update({(package["name"], package["version"]): package for package in metadata["packages"]})
        self.assertGreater(len(packages), 50)
        refused = [f"{name} {version}: {package['license']}" for (name, version), package in packages.items()
                   if not (package["license"] and allowed(package["license"], licences))]
        self.assertEqual(refused, [], "licences that deny.toml does not allow")

    def test_the_top_level_holds_only_its_rooms(self):
        self.assertEqual({path.parts[0] for path in tracked()} - TOP_LEVEL, set(), "not known at the top level, see tests/tree/check.py")

    def test_no_tracked_file_names_a_path_of_one_machine(self):
        found = []
        for path in tracked():
            try:
                text = (ROOT / path).read_text(encoding="utf-8")
            except (UnicodeDecodeError, FileNotFoundError):
                continue  # binary, or deleted and not yet committed
            found += [f"{path}:{number}: {line.strip()[:120]}" for number, line in enumerate(text.splitlines(), 1) if MACHINE_PATHS.search(line)]
        self.assertEqual(found, [])

    def test_cargo_deny_agrees(self):
        if not shutil.which("cargo-deny"):
            self.skipTest("cargo-deny is not installed ('cargo install cargo-deny --locked', some minutes); licences and bans are checked above")
        done = subprocess.run(["cargo", "deny", "check", "licenses", "bans", "sources"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2 if sys.stdout.isatty() else 1)
