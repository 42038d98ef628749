"""The client's end, as spec/resume.md has it. Draws of chance give their lowest value, so a dial comes at once or after `wait`."""

from collections import deque

import frames
from ends import NEVER, Conversation, End

DIAL_TIME, HINT_TIME, BAD_IN_A_ROW = 5000, 2000, 3


class Link:
    def __init__(self, opened_with, epoch, since):
        self.opened_with, self.epoch, self.since = opened_with, epoch, since
        self.reopened = False


class Client(End):
    def __init__(self, given):
        super().__init__()
        self.given = given
        self.links, self.queue = {}, deque()
        self.ping_number = self.not_before = 0
        self.forget()
        if given.get("session"):  # of an earlier run: ticket, secret and epoch, and no counts
            kept = given["session"]
            self.ticket, self.secret, self.epoch = kept["ticket"], bytes.fromhex(kept["secret"]), kept["epoch"]
            self.phase, self.forgot = "kept", True
            self.take_terms(kept)

    def forget(self):
        self.phase, self.ticket, self.secret = "fresh", "", b""
        self.epoch = self.live = self.live_epoch = 0
        self.forgot = self.beside = self.said_close = self.asked = False
        self.bad_in_a_row, self.heard_at, self.hint_at, self.pings = 0, 0, NEVER, set()
        self.talk, self.dead = Conversation(1, 1), NEVER
        self.unknown_until = 0  # what it does not remember may fill the window up to here

    def take_terms(self, terms):
        self.talk = Conversation(terms["window_messages"], terms["window_bytes"])
        self.dead = terms["dead"]

    # --- what happens to it ---
    def dial(self, number):
        """A new link, whose transport opens at once."""
        assert self.dial_at() <= self.now, "it does not want to dial now"
        self.beside = False  # from here on it is the RESUME that is owed
        self.open(number)

    def receive(self, number, data):
        if number not in self.links:
            return
        if number == self.live:
            self.heard_at = self.now
        try:
            frame = frames.decode(data)
            if number == self.live:
                self.on_live(number, frame)
            else:
                self.on_answer(number, frame)
        except frames.Bad:
            self.bad(number)

    def broke(self, number):
        if number in self.links:
            self.drop(number)

    def send(self, message):
        self.queue.append(message)
        self.pump()

    def close(self, code, reason=""):
        self.closing = {"code": code, "reason": reason}
        if self.phase == "fresh":
            self.end(code)
        else:
            self.phase = "closing"
            self.pump()

    def hint(self):
        """The network changed, or the program came back to the front."""
        if self.live:
            self.ping()
            self.hint_at = self.now + HINT_TIME

    # --- when to dial ---
    def dial_at(self):
        """NEVER while it needs no new link, or has a dial in the air."""
        if self.phase == "ended" or any(number != self.live for number in self.links):
            return NEVER
        owes_resume = self.live and self.epoch > self.live_epoch
        needed = not self.live or owes_resume or self.beside
        return max(self.now, self.not_before) if needed else NEVER

    def deadline(self):
        dials = [link.since + DIAL_TIME for number, link in self.links.items() if number != self.live]
        live = [self.heard_at + self.dead, self.talk.ack_deadline(), self.hint_at] if self.live else []
        return min(dials + live, default=NEVER)

    def on_time(self):
        for number, link in list(self.links.items()):
            if number != self.live and link.since + DIAL_TIME <= self.now:
                self.shut(number, 1000)
        if not self.live:
            return
        if self.heard_at + self.dead <= self.now:
            self.shut(self.live, 4408)
        elif self.talk.ack_deadline() <= self.now:
            self.frame("ACK")
        elif self.hint_at <= self.now:
            self.hint_at, self.beside = NEVER, True

    # --- links ---
    def open(self, number):
        if self.phase == "fresh":
            self.links = {number: Link("HELLO", 1, self.now)}
            given = self.given
            self.say(number, type="HELLO", version=1, identity=given["identity"], application=given["application"])
            return
        self.epoch += 1
        self.links[number] = Link("RESUME", self.epoch, self.now)
        received = 0 if self.forgot else self.talk.read
        self.say(number, type="RESUME", seq=0, ack=0, ticket=self.ticket, epoch=self.epoch, received=str(received))

    def drop(self, number):
        del self.links[number]
        if self.live == number:
            self.live, self.hint_at = 0, NEVER

    def shut(self, number, code):
        self.drop(number)
        self.close_link(number, code)

    def become_live(self, number):
        link = self.links[number]
        self.live, self.live_epoch, self.heard_at = number, link.epoch, self.now
        self.hint_at, self.beside, self.asked, self.said_close = NEVER, False, False, False
        for other, its in list(self.links.items()):
            if other != number and its.epoch < link.epoch:
                self.shut(other, 1000)

    # --- the answer to an opening frame ---
    def on_answer(self, number, frame):
        kind, link = frame["type"], self.links[number]
        if kind == "WELCOME" and link.opened_with == "HELLO":
            self.on_welcome(number, frame)
        elif kind == "RESUMED" and link.opened_with == "RESUME":
            self.on_resumed(number, frame)
        elif kind == "DETACH":
            self.on_detach(number, frame)
        elif not kind.startswith("0x"):
            raise frames.Bad("not an answer")

    def on_welcome(self, number, frame):
        if frame["version"] != 1:
            self.end(4406)
            return
        self.take_terms(frame)
        self.ticket, self.secret = frame["ticket"], bytes.fromhex(frame["secret"])
        self.phase, self.epoch = "kept", 1
        self.become_live(number)
        self.tell("opened")
        self.frame("ACK")
        self.pump()

    def on_resumed(self, number, frame):
        received, following, last = (int(frame[name]) for name in ("received", "next", "last"))
        talk, whole = self.talk, not self.forgot
        accepted = frames.unwrap(frame["ack"], talk.acked if whole else received)
        fits = talk.acked <= received <= talk.sent and following <= talk.read + 1
        if accepted > received or (whole and not fits):
            self.lose(4401)
            return
        if self.forgot:
            talk.restart(received, following - 1)
            self.forgot, self.unknown_until = False, received
        self.become_live(number)
        self.note_accepted(accepted)
        talk.acknowledge(frame["ack"])
        self.tell("resumed", whole=whole, to_come=last + 1 - following)
        self.frame("ACK")
        for seq, message in list(talk.held):
            if seq > received:
                self.data(seq, message)
        self.pump()

    # --- DETACH ---
    def on_detach(self, number, frame):
        link, code, action = self.links[number], frame["code"], frame["action"]
        beside = self.live and number != self.live
        if code == 4400:
            self.bad_in_a_row += 1
            if self.bad_in_a_row >= BAD_IN_A_ROW and not beside:
                self.lose(4400)
                return
        more = {"code": code, "wait": frame["wait"], "address": frame["address"]}
        if action == "move" and number == self.live:
            self.beside = True
            self.tell("move", **more)
        elif action in ("move", "again") or (action == "login" and beside):
            self.on_again(number, frame, more)
        elif action == "stop":
            if code == 4409 and frame["epoch"] <= self.epoch:
                self.shut(number, code)  # our own dial did it
            else:
                self.end(code)
        elif link.opened_with == "HELLO" or code != 4401:
            self.end(code)
        else:
            self.lose(code, number)

    def on_again(self, number, frame, more):
        self.tell("sent_away", **more)
        if self.phase != "fresh":
            self.epoch = max(self.epoch, frame["epoch"])
        self.not_before = self.now + frame["wait"]
        again = frame["action"] == "again" and not frame["wait"] and not frame["address"] and frame["code"] != 4400
        reopened = self.links[number].reopened
        if self.live == number:
            self.live = 0
        if again and not reopened:
            self.reopen(number)
        else:
            self.shut(number, frame["code"])

    def reopen(self, number):
        self.open(number)
        self.links[number].reopened = True

    # --- the live link ---
    def note_accepted(self, count):
        """True when that makes room."""
        was = self.unknown_until
        if count >= was:
            self.unknown_until = 0
        return was != self.unknown_until

    def on_live(self, number, frame):
        kind = frame["type"]
        known = self.note_accepted(frames.unwrap(frame["ack"], self.talk.acked))
        if self.talk.acknowledge(frame["ack"]) or known:
            self.bad_in_a_row, self.asked = 0, False
            self.pump()
        if kind == "DATA":
            self.on_data(frame)
        elif kind == "PING":
            self.frame("PONG", number=frame["number"])
        elif kind == "PONG":
            if int(frame["number"]) in self.pings:
                self.pings, self.hint_at = set(), NEVER
        elif kind == "TICKET":
            self.ticket = frame["ticket"]
            self.tell("renewed")
        elif kind == "DETACH":
            self.on_detach(number, frame)
        elif kind == "CLOSE":
            self.on_close(frame)
        elif kind != "ACK" and not kind.startswith("0x"):
            raise frames.Bad("not on an open link")

    def on_data(self, frame):
        if not self.talk.observe(frame["seq"]):
            return
        self.talk.took()
        self.bad_in_a_row = 0
        message = {name: frame[name] for name in ("text", "hex", "zeros") if name in frame}
        self.tell("message", **message)
        self.talk.accept(message, self.now)
        if self.talk.ack_due_now():
            self.frame("ACK")

    def on_close(self, frame):
        if not self.said_close:
            self.frame("CLOSE", code=frame["code"])
        self.links.clear()
        self.live = 0
        self.end(self.closing["code"] if self.phase == "closing" else frame["code"])

    # --- what it sends ---
    def frame(self, kind, **fields):
        self.say(self.live, type=kind, seq=0, ack=self.talk.accepted & 0xFFFFFFFF, **fields)
        self.talk.ack_left()

    def data(self, seq, message):
        low = {"seq": seq & 0xFFFFFFFF, "ack": self.talk.accepted & 0xFFFFFFFF}
        self.say(self.live, type="DATA", **low, **message)
        self.talk.ack_left()

    def ping(self):
        self.ping_number += 1
        self.pings.add(self.ping_number)
        self.frame("PING", number=str(self.ping_number))

    def pump(self):
        """Numbers what waits and has room; asks for room once; says CLOSE behind all of it."""
        if self.phase not in ("kept", "closing") or self.forgot:
            return
        while self.queue and not self.unknown_until and self.talk.has_room(self.queue[0]):
            message = self.queue.popleft()
            seq = self.talk.push(message)
            if self.live:
                self.data(seq, message)
        if self.queue and self.live and not self.asked:
            self.asked = True
            self.ping()
        if self.phase == "closing" and self.live and not self.queue and not self.said_close:
            self.said_close = True
            self.frame("CLOSE", **self.closing)

    # --- how it goes wrong ---
    def bad(self, number):
        beside = self.live and number != self.live
        self.bad_in_a_row += 1
        self.tell("bad_frame")
        self.shut(number, 4400)
        if self.bad_in_a_row >= BAD_IN_A_ROW and not beside:
            self.lose(4400)

    def lose(self, code, reopen=None):
        """The session is gone, and what was held with it: HELLO is next, on the link `reopen` if that may be."""
        if self.phase == "closing":
            self.end(self.closing["code"])
            return
        again = reopen is not None and not self.links[reopen].reopened
        for number in list(self.links):
            if number != reopen or not again:
                self.shut(number, code)
        if self.phase != "fresh":
            self.tell("lost", code=code)
        self.forget()
        if again:
            self.reopen(reopen)

    def end(self, code):
        for number in list(self.links):
            self.shut(number, code)
        self.forget()
        self.phase = "ended"
        self.tell("ended", code=code)
