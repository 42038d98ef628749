#!/usr/bin/env python3
"""Holds the reference client and gateway to spec/vectors/conversations.json. A runner for another implementation has this form."""

import json
import sys
from pathlib import Path

SPEC = Path(__file__).resolve().parent
sys.path.insert(0, str(SPEC / "reference"))

import frames  # noqa: E402
from client import Client  # noqa: E402
from gateway import Gateway  # noqa: E402
from script import SECRET  # noqa: E402

UNSEEN = object()


class Runner:
    def __init__(self, conversation):
        self.given = conversation["given"]
        self.end = Client(self.given) if conversation["role"] == "client" else Gateway(self.given)
        self.last_ping, self.parting = None, set()  # links on which the last word was said

    def frame_bytes(self, frame):
        if "raw" in frame:
            return bytes.fromhex(frame["raw"])
        frame = {**frame, "number": self.last_ping} if frame.get("number") == "last" else frame
        data = frames.encode(frame, bytes.fromhex(SECRET))
        return data[:-1] + bytes([data[-1] ^ 1]) if frame.get("proof") == "wrong" else data

    def take(self, step):
        end, do = self.end, step["do"]
        if do == "receive":
            end.receive(step["link"], self.frame_bytes(step["frame"]))
        elif do == "dial":
            early = end.dial_at() < end.now + step["after"]
            end.pass_time(step["after"])
            assert not early, f"it dials before {step['after']} ms"
            end.dial(step["link"])
        elif do == "pass":
            end.pass_time(step["ms"])
            assert not isinstance(end, Client) or end.dial_at() > end.now, "it dials"
        elif do == "broke":
            end.broke(step["link"])
        elif do == "send":
            end.send(step["message"])
        elif do == "game":
            end.game_says(step["message"])
        elif do == "accept":
            end.accept(step["count"])
        elif do == "renew":
            end.renew(step["ticket"])
        elif do == "detach":
            end.operator_detaches(step["code"], step["action"], step["wait"], step["address"])
        elif do == "close":
            end.close(step["code"], step["reason"])
        elif do == "end":
            end.end(step["code"])
        else:
            getattr(end, do)()  # hint, game_ends, game_breaks
        return end.take_out()

    def groups(self, entries):
        """Order counts among the frames of one link, among what the application and the game server hear, among closes."""
        groups = {}
        for entry in entries:
            kind = next(name for name in ("frame", "close", "told", "game") if name in entry)
            groups.setdefault((kind, entry.get("link")), []).append(entry)
        return groups

    def same(self, expected, found):
        """What is given is compared; what is not given may be anything."""
        if isinstance(expected, dict):
            return isinstance(found, dict) and all(self.same(value, found.get(key, UNSEEN)) for key, value in expected.items())
        return expected == "any" or expected == found

    def check(self, step):
        found = self.take(step)
        for entry in found:
            if "frame" in entry:
                # Through the bytes, so that what is left out of a dictionary has its value on the wire.
                frame = frames.decode(frames.encode(entry["frame"], bytes.fromhex(SECRET)))
                entry["frame"] = frame
                if frame["type"] == "PING":
                    self.last_ping = frame["number"]
                if frame["type"] == "CLOSE" or (frame["type"] == "DETACH" and frame["action"] != "move"):
                    self.parting.add(entry["link"])
        must_close = {entry["close"] for entry in step["expect"] if "close" in entry}
        free = self.parting - must_close
        found = [entry for entry in found if entry.get("close") not in free]
        expected, found = self.groups(step["expect"]), self.groups(found)
        for group in expected.keys() | found.keys():
            wanted, had = expected.get(group, []), found.get(group, [])
            fits = len(wanted) == len(had) and all(map(self.same, wanted, had))
            assert fits, f"\n  expected {wanted}\n  found    {had}"


def run(conversation):
    """What is wrong with it, or None."""
    runner = Runner(conversation)
    for number, step in enumerate(conversation["steps"], 1):
        try:
            runner.check(step)
        except AssertionError as wrong:
            shown = {name: value for name, value in step.items() if name != "expect"}
            return f"{conversation['name']}, step {number} {json.dumps(shown)}: {wrong}"
    return None


def main():
    conversations = json.loads((SPEC / "vectors" / "conversations.json").read_text())["conversations"]
    wrong = [fault for fault in map(run, conversations) if fault]
    print("\n".join(wrong) or f"{len(conversations)} conversations hold")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
