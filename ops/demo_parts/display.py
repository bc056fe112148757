# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What people see."""

import os
import re
import shutil


class Display:
    """Tells people what happens. On a terminal the running scan is a block that is drawn again and again."""

    def __init__(self, stream):
        self.stream = stream
        self.is_live = stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.drawn = 0
        self.told = -1

    def style(self, code, text):
        return f"\x1b[{code}m{text}\x1b[0m" if self.is_live and "NO_COLOR" not in os.environ else text

    def good(self, text):
        return self.style("32", text)

    def bad(self, text):
        return self.style("31", text)

    def strong(self, text):
        return self.style("1", text)

    def faint(self, text):
        return self.style("2", text)

    def erase(self):
        if self.drawn:
            self.stream.write(f"\x1b[{self.drawn}A\r\x1b[J")
            self.drawn = 0

    def say(self, text=""):
        self.erase()
        self.stream.write(text + "\n")
        self.stream.flush()

    def draw(self, lines):
        """Replaces what was drawn before."""
        if not self.is_live:
            return
        columns, rows = shutil.get_terminal_size()
        lines = [clipped(line, columns - 1) for line in lines[: rows - 1]]
        self.erase()
        self.stream.write("".join(line + "\n" for line in lines))
        self.stream.flush()
        self.drawn = len(lines)

    def mention(self, percent, text):
        """Where nothing can be drawn, every tenth percent is told."""
        if not self.is_live and percent // 10 > self.told:
            self.told = percent // 10
            self.say(text)


def clipped(line, width):
    """Cuts a line to a width, not counting what only colours it."""
    result, room = "", width
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if piece.startswith("\x1b"):
            result += piece
        else:
            result += piece[:room]
            room -= len(piece[:room])
    return result


def bar(fraction, width):
    full = int(fraction * width)
    return "█" * full + "░" * (width - full)


def share(fraction):
    return f"{round(fraction * 100)} %"


def counted(number, one, many):
    return f"{number:,} {one if number == 1 else many}"


def seconds(value):
    return "–" if value is None else f"{value:.2f} s"


def printable(path):
    return "".join(each if each.isprintable() else "?" for each in os.fsdecode(path).encode(errors="replace").decode())
