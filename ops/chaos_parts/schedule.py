# SPDX-License-Identifier: Apache-2.0
# Copyright the Holdfast project authors

"""What is done to a fleet, and when. Pure: it follows from the seed, the length, the number of executors and whether there
are links to cut."""

import dataclasses
import random

# The library's defaults, which the fleet runs with.
SELF_STOP, LEASE = 7.0, 10.0

# After a failover the old primary has to become the standby.
REBUILDING = 14.0

# How long everything is left alone before and after a death that has to be found in time, whoever looks.
CALM, FOUND_BY = 4.0, LEASE + 5.5

# Before the first fault, and between the last one and the end.
WARM_UP, COOL_DOWN = 4.0, 4.0

# On the average there is one roll-out in so many seconds. In any case there is one, and in three minutes there are two, so
# that both ways are met.
ROLL_OUT_EVERY = 240.0
LONG = 170.0

# What Postgres suffers, one thing at a time.
DATABASE_KINDS = ("restart", "crash", "fail_over", "cut_database", "cut_standby")


@dataclasses.dataclass(frozen=True)
class Fault:
    """One thing that is done. `slot` is the number of an executor's slot from 1, 0 where all or none are meant."""

    at: float
    kind: str
    slot: int = 0
    # How long it lasts, or until a killed process has a successor.
    seconds: float = 0.0
    detail: str = ""
    # Selects among the processes of a slot, of which there are two during a roll-out.
    pick: float = 0.0

    @property
    def name(self):
        """Its kind, and its way where one kind is done in several that matter."""
        if self.kind == "fail_over" and (self.detail == "cut" or self.seconds):
            return "fail_over, silent" if self.detail == "cut" else "fail_over, late"
        return f"{self.kind}, {self.detail}" if self.kind == "roll_out" or self.detail == "rolling" else self.kind

    def __str__(self):
        words = [f"{self.at:8.2f} s  {self.kind:<12}"]
        words += [f"slot {self.slot}"] if self.slot else []
        words += [f"for {self.seconds:.2f} s"] if self.seconds else []
        words += [self.detail] if self.detail else []
        return "  ".join(words)


# A deal of the deck holds each of these cards as often as it stands here. Those that come first in it are one of each kind, so
# that also a short run meets all kinds.
FIRST_CARDS = [
    "kill", "freeze", "kill and freeze in a calm", "usurp", "terminate", "rolling restart", "restart", "crash", "fail over",
    "fail over late",
]
CARDS = (
    FIRST_CARDS + ["kill"] * 3 + ["kill two", "kill all"]
    + ["freeze", "freeze briefly", "freeze past self-stop", "freeze two"]
    + ["usurp past self-stop", "terminate", "terminate a sleeper", "terminate beside a sleeper"]
    + ["immediate restart", "kill in a restart", "kill in a failover"]
)
FIRST_CUT_CARDS = ["cut", "cut the database", "cut the standby", "fail over silently"]
CUT_CARDS = FIRST_CUT_CARDS + ["cut", "cut briefly", "cut and kill"]
DATABASE_CARDS = {
    "restart", "crash", "immediate restart", "kill in a restart", "fail over", "fail over late", "fail over silently",
    "kill in a failover", "cut the database", "cut the standby",
}


class Dealer:
    """Lays cards onto the time line, so that at any time one executor at least is left alone, and Postgres suffers one
    thing at a time."""

    def __init__(self, seed, minutes, executors, has_links, only=None):
        self.chance = random.Random(f"{seed}/schedule")
        self.end = minutes * 60.0 - COOL_DOWN
        self.executors = executors
        self.only = only
        self.cards = [
            each for each in CARDS + (CUT_CARDS if has_links else []) if not only or each in only
        ]
        self.firsts = FIRST_CARDS + (FIRST_CUT_CARDS if has_links else [])
        # In a short run there is no time for it.
        if not only and self.end - WARM_UP < LONG:
            self.cards.remove("kill and freeze in a calm")
        self.busy_until = [0.0] * (executors + 1)
        self.database_busy_until = 0.0
        self.faults = []

    def deal(self):
        now = WARM_UP
        while now < self.end and self.cards:
            deck = self.shuffle()
            while deck and now < self.end:
                now += self.chance.uniform(1.5, 5.5)
                now = self.lay(now, deck.pop(self.next_of(deck, now)))
        if not self.only or "roll-out" in self.only:
            self.roll_outs()
        return sorted((each for each in self.faults if each.at < self.end), key=lambda each: (each.at, each.slot))

    # MARK: Within

    def shuffle(self):
        """One card of each kind, and then the others, both in any order."""
        firsts = [each for each in self.firsts if each in self.cards]
        others = list(self.cards)
        for each in firsts:
            others.remove(each)
        self.chance.shuffle(firsts)
        self.chance.shuffle(others)
        return firsts + others

    def next_of(self, deck, now):
        """The place of the next card: while Postgres suffers, others need not wait for those that are for it."""
        if now < self.database_busy_until:
            return next((place for place, card in enumerate(deck) if card not in DATABASE_CARDS), 0)
        return 0

    def slots(self, now, count):
        """So many slots that are left alone at `now`, and a moment at which there are as many and one more."""
        count = min(count, self.executors - 1)
        while True:
            free = [each for each in range(1, self.executors + 1) if self.busy_until[each] <= now]
            if len(free) > count:
                return now, self.chance.sample(free, count)
            now = min(until for until in self.busy_until[1:] if until > now)

    def when_free(self, now, slot):
        """When a slot, and another one besides, is left alone."""
        while True:
            free = [each for each in range(1, self.executors + 1) if self.busy_until[each] <= now]
            if slot in free and len(free) > 1:
                return now
            now = min(until for until in self.busy_until[1:] if until > now)

    def add(self, at, kind, slot=0, seconds=0.0, detail="", rest=4.0):
        self.faults.append(
            Fault(round(at, 3), kind, slot, round(seconds, 3), detail, round(self.chance.random(), 6))
        )
        if slot:
            self.busy_until[slot] = max(self.busy_until[slot], at + seconds + rest)

    def on_database(self, now, kind, seconds=0.0, detail="", rest=8.0):
        now = max(now, self.database_busy_until)
        self.database_busy_until = now + seconds + rest
        self.add(now, kind, seconds=seconds, detail=detail)
        return now

    def beyond_lease(self):
        return self.chance.uniform(LEASE + 1.5, LEASE + 6.0)

    def lay(self, now, card):
        """Adds the faults of a card, and returns when the first of them happens."""
        chance, pause = self.chance, self.chance.uniform(0.0, 3.0)
        if card in ("kill", "kill two"):
            now, slots = self.slots(now, 2 if card == "kill two" else 1)
            for slot in slots:
                self.add(now, "kill", slot, pause)
        elif card == "kill and freeze in a calm":
            now = self.in_a_calm(now, pause)
        elif card == "kill all":
            for slot in range(1, self.executors + 1):
                self.add(now, "kill", slot, pause)
        elif card in ("freeze", "freeze two"):
            now, slots = self.slots(now, 2 if card == "freeze two" else 1)
            for slot in slots:
                self.add(now, "freeze", slot, self.beyond_lease())
        elif card == "freeze briefly":
            now, (slot,) = self.slots(now, 1)
            self.add(now, "freeze", slot, chance.uniform(0.3, SELF_STOP - 2))
        elif card == "freeze past self-stop":
            now, (slot,) = self.slots(now, 1)
            self.add(now, "freeze", slot, chance.uniform(SELF_STOP + 0.5, LEASE - 0.5))
        elif card in ("usurp", "usurp past self-stop"):
            # Who wakes before its self-stop only learns from its next renewal that its slot is taken, and writes until then.
            now, (slot,) = self.slots(now, 1)
            span = (2.0, SELF_STOP - 1.5) if card == "usurp" else (SELF_STOP + 0.5, LEASE + 4)
            self.add(now, "usurp", slot, chance.uniform(*span))
        elif card == "terminate":
            now, (slot,) = self.slots(now, 1)
            self.add(now, "terminate", slot)
        elif card == "rolling restart":
            at = now
            for slot in self.chance.sample(range(1, self.executors + 1), self.executors):
                at = self.when_free(at, slot)
                self.add(at, "terminate", slot, detail="rolling")
                at += chance.uniform(3.0, 5.0)
        elif card == "terminate a sleeper":
            now, (slot,) = self.slots(now, 1)
            seconds = chance.uniform(2.0, LEASE + 4)
            self.add(now, "freeze", slot, seconds)
            self.add(now + 1, "terminate", slot, detail="pending", rest=seconds + 4)
        elif card == "terminate beside a sleeper":
            now, slots = self.slots(now, 2)
            self.add(now, "freeze", slots[0], self.beyond_lease())
            if len(slots) > 1:
                self.add(now + pause, "terminate", slots[1])
        elif card in ("cut", "cut briefly"):
            now, (slot,) = self.slots(now, 1)
            self.add(now, "cut", slot, self.beyond_lease() if card == "cut" else chance.uniform(0.5, SELF_STOP - 2))
        elif card == "cut and kill":
            now, slots = self.slots(now, 2)
            self.add(now, "cut", slots[0], self.beyond_lease())
            if len(slots) > 1:
                self.add(now + pause, "kill", slots[1], 1.0)
        elif card in ("cut the database", "cut the standby"):
            kind = "cut_database" if card == "cut the database" else "cut_standby"
            now = self.on_database(now, kind, chance.uniform(1.0, LEASE + 2))
        elif card in ("kill in a restart", "kill in a failover"):
            now, (slot,) = self.slots(max(now, self.database_busy_until), 1)
            if card == "kill in a restart":
                self.on_database(now, "restart", detail="immediate")
            else:
                self.on_database(now, "fail_over", detail=chance.choice(["kill", "immediate"]), rest=REBUILDING)
            self.add(now + chance.uniform(0.0, 1.0), "kill", slot, pause)
        elif card == "restart":
            now = self.on_database(now, "restart", detail="fast")
        elif card == "immediate restart":
            now = self.on_database(now, "restart", detail="immediate")
        elif card == "crash":
            now = self.on_database(now, "crash")
        elif card == "fail over":
            now = self.on_database(
                now, "fail_over", detail=chance.choice(["kill", "immediate", "fast"]), rest=REBUILDING
            )
        elif card == "fail over late":
            # A watchman takes his time to be sure, up to beyond the self-stop.
            now = self.on_database(
                now, "fail_over", chance.uniform(1.0, SELF_STOP + 2), chance.choice(["kill", "immediate"]), REBUILDING
            )
        elif card == "fail over silently":
            # The primary lives on, where nobody hears it.
            now = self.on_database(now, "fail_over", chance.uniform(0.0, 3.0), "cut", REBUILDING)
        return now

    def in_a_calm(self, now, pause):
        """A kill, and a sleep beyond the lease, while nothing else happens: these must be noticed in time. Returns when it is
        over."""
        began = max(now, self.database_busy_until, *self.busy_until) + CALM
        first, second = self.chance.sample(range(1, self.executors + 1), 2)
        self.add(began, "kill", first, pause)
        began += CALM + 2
        self.add(began, "freeze", second, LEASE + self.chance.uniform(6.2, 7.5))
        self.busy_until = [max(each, began + FOUND_BY) for each in self.busy_until]
        self.database_busy_until = max(self.database_busy_until, began + FOUND_BY)
        return began + FOUND_BY

    def roll_outs(self):
        """They take their time, and other things happen meanwhile."""
        span = self.end - WARM_UP
        count = max(2 if span >= LONG else 1, round(span / ROLL_OUT_EVERY))
        styles = ["drain", "repin"]
        self.chance.shuffle(styles)
        for number in range(count):
            at = WARM_UP + span * (number + self.chance.uniform(0.2, 0.6)) / count
            self.add(at, "roll_out", detail=styles[number % 2])


def make_schedule(seed, minutes, executors, has_links, only=None):
    """`only` names the cards to deal, all of them by default; "roll-out" is one of them here."""
    return Dealer(seed, minutes, executors, has_links, only).deal()


def names():
    return sorted({*CARDS, *CUT_CARDS, "roll-out"})
