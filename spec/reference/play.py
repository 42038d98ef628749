#!/usr/bin/env python3
"""Plays the two reference ends against each other over links that break anywhere: `play.py [RUNS [FIRST_SEED]]`.

Checked: each message once and in order, both ways; never two live links; nobody loses the session; and when the faults stop,
everything arrives. A small companion of the exhaustive model that the rules come from.
"""

import random
import sys

import frames
from client import Client
from ends import NEVER
from gateway import Gateway

GIVEN = {"secret": "4b" * 32, "tickets": ["a-ticket"], "grace": 10**9, "ping": 15000, "dead": 40000, "window_bytes": 300,
         "window_messages": 8, "spread": 0, "addresses": [], "accept": "by step", "pause": 10**9,
         "identity": "", "application": ""}  # fmt: skip


class Wire:
    """A link: what travels in each direction. A break keeps a front of it, and each end notices later."""

    def __init__(self):
        self.up, self.down, self.broken = [], [], False


class Play:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.client, self.gateway = Client(GIVEN), Gateway(GIVEN)
        self.wires, self.next_link = {}, 1
        self.said = {"client": [], "game": []}
        self.heard = {"client": [], "game": []}
        self.faults = 12

    def collect(self):
        secret = self.gateway.secret
        for done in self.client.take_out():
            if "frame" in done and done["link"] in self.wires and not self.wires[done["link"]].broken:
                self.wires[done["link"]].up.append(frames.encode(done["frame"], secret))
            elif "close" in done and done["close"] in self.wires:
                wire = self.wires[done["close"]]
                wire.up.append(None)
                wire.down.clear()
            elif done.get("told") == "message":
                self.heard["client"].append(done["text"])
            elif done.get("told") in ("lost", "ended", "bad_frame"):
                raise AssertionError(f"the client says {done}")
        for done in self.gateway.take_out():
            if "frame" in done and done["link"] in self.wires and not self.wires[done["link"]].broken:
                self.wires[done["link"]].down.append(frames.encode(done["frame"], secret))
            elif "close" in done and done["close"] in self.wires:
                self.wires[done["close"]].down.append(None)
                self.wires[done["close"]].up.clear()
            elif done.get("game") == "message":
                self.heard["game"].append(done["text"])
            elif done.get("told") == "ended":
                raise AssertionError("the gateway ended the session")

    def choices(self):
        steps = []
        if self.client.dial_at() != NEVER:
            steps.append(self.dial)
        elif self.client.live and self.faults and self.random.random() < 0.02:
            steps.append(self.dial_beside)
        for number, wire in self.wires.items():
            if wire.up:
                steps += [lambda n=number: self.carry_up(n)] * 3
            if wire.down:
                steps += [lambda n=number: self.carry_down(n)] * 3
            if wire.broken and not wire.up and not wire.down:
                steps.append(lambda n=number: self.notice(n))
            if self.faults and not wire.broken and self.random.random() < 0.1:
                steps.append(lambda n=number: self.cut(n))
        if len(self.said["client"]) < 40:
            steps.append(self.client_says)
        if len(self.said["game"]) < 40 and self.gateway.phase == "kept":
            steps.append(self.game_says)
        if self.gateway.phase == "kept" and self.gateway.pending:
            steps.append(lambda: self.gateway.accept(1))
        return steps

    def dial(self):
        self.client.now = max(self.client.now, self.client.dial_at())
        self.wires[self.next_link] = Wire()
        self.client.dial(self.next_link)
        self.next_link += 1

    def dial_beside(self):
        self.client.beside = True

    def carry_up(self, number):
        data = self.wires[number].up.pop(0)
        if data is None:
            self.gateway.broke(number)
        else:
            self.gateway.receive(number, data)

    def carry_down(self, number):
        data = self.wires[number].down.pop(0)
        if data is None:
            self.client.broke(number)
        else:
            self.client.receive(number, data)

    def notice(self, number):
        if self.random.random() < 0.5:
            self.client.broke(number)
        else:
            self.gateway.broke(number)
        gone = number not in self.client.links and number not in self.gateway.links
        if gone:
            del self.wires[number]

    def cut(self, number):
        wire = self.wires[number]
        wire.broken = True
        del wire.up[self.random.randint(0, len(wire.up)) :]
        del wire.down[self.random.randint(0, len(wire.down)) :]
        self.faults -= 1

    def client_says(self):
        self.said["client"].append(f"c{len(self.said['client'])}")
        self.client.send({"text": self.said["client"][-1]})

    def game_says(self):
        self.said["game"].append(f"g{len(self.said['game'])}")
        self.gateway.game_says({"text": self.said["game"][-1]})

    def check(self):
        for said, heard in (("client", "game"), ("game", "client")):
            assert self.heard[heard] == self.said[said][: len(self.heard[heard])], f"{said}: {self.heard[heard]}"

    def run(self):
        for _ in range(20000):
            steps = self.choices()
            if not steps:
                break
            self.random.choice(steps)()
            self.collect()
            self.check()
        for end in (self.client, self.gateway):  # what is owed leaves with its timer
            end.pass_time(1000)
        self.collect()
        assert self.heard["game"] == self.said["client"] and self.heard["client"] == self.said["game"], "not all arrived"


if __name__ == "__main__":
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    for seed in range(first, first + runs):
        try:
            Play(seed).run()
        except AssertionError as broken:
            sys.exit(f"seed {seed}: {broken}")
    print(f"{runs} runs, nothing lost, nothing twice")
