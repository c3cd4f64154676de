"""The file that goes through the broker: real text with numbered, unique lines."""

import hashlib
import sysconfig
from pathlib import Path

# What a console producer must carry besides source code: scripts, marks, emoji, blanks, tabs, quotes, control characters.
UNUSUAL = [
    "", " ", "\t", "\t\ttabs\t", "trailing blanks   ", "Straße, naïve, œuvre, Ærøskøbing, ĳsland", "Съешь же ещё этих мягких французских булок",
    "以呂波耳本部止 千利奴流乎和加", "いろはにほへと ちりぬるを", "키스의 고유조건은 입술끼리", "نص حكيم له سر قاطع", "דג סקרן שט בים", "เป็นมนุษย์สุดประเสริฐ",
    "👩‍👩‍👧‍👦 🏳️‍🌈 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𓀀", "e\u0301 \u202eright to left\u202c zero\u200bwidth \ufeff mark", "\"quotes\" 'and' \\backslashes\\ `and` $(such) ; | &",
    "bell \x07 escape \x1b[31m unit \x1f delete \x7f", "{\"json\": [null, 1.5, \"\\u0000\"]}", "x" * 20_000,
]


def write(path, count, empty_lines=0):
    """Writes `count` numbered lines, every one different, and spreads `empty_lines` wholly empty ones among them.

    The text is the standard library of the Python that runs this, in the order of its file names, over and over until there are enough
    lines; every 500th line is an unusual one. Returns the lines as bytes.
    """
    lines = []
    every_empty = count // (empty_lines + 1)
    number = 0
    while number < count:
        for text in _library():
            if number >= count:
                break
            if number % 500 == 250:
                text = UNUSUAL[(number // 500) % len(UNUSUAL)]
            lines.append(f"{number:07d}:{text}".encode())
            number += 1
            if empty_lines and number % every_empty == 0 and number // every_empty <= empty_lines:
                lines.append(b"")
    data = b"\n".join(lines) + b"\n"
    Path(path).write_bytes(data)
    return lines, hashlib.sha256(data).hexdigest()[:16]


def _library():
    for file in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("**/*.py")):
        if "site-packages" in file.parts or "test" in file.parts:
            continue
        # Only \n ends a line for every tool; a carriage return would end one for Java's reader alone.
        yield from file.read_text(encoding="utf-8", errors="replace").replace("\r", " ").split("\n")
