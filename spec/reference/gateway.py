"""The gateway's end, as spec/resume.md has it: one session and its links. Who it is for, budgets and sealing are not its
matter: tickets are the texts that it was given."""

import hmac
from collections import deque

import frames
from ends import NEVER, Conversation, End, size_of

OPENING_TIME, UNCONFIRMED_TIME = 5000, 10000


class Gateway(End):
    def __init__(self, given):
        super().__init__()
        self.given, self.secret = given, bytes.fromhex(given["secret"])
        self.tickets = given["tickets"]
        self.links = {}  # number: openings that were refused. The live one as well
        self.since = {}  # links whose opening frame is awaited
        self.phase, self.over = "none", None  # over: (code, until), how the last session ended
        if given.get("session"):
            self.begin()
            counts = given["session"]
            self.epoch, self.phase, self.detached_at = counts["epoch"], "kept", 0
            self.talk.restart(int(counts["sent"]), int(counts["read"]))

    def begin(self):
        self.talk = Conversation(self.given["window_messages"], self.given["window_bytes"])
        self.phase, self.live, self.epoch = "unconfirmed", 0, 1
        self.born, self.detached_at = self.now, NEVER
        self.heard_at = self.said_at = self.now
        self.pinged, self.farewell, self.said_close_on, self.moving, self.pings = False, None, 0, (0, NEVER), 0
        self.pending, self.waiting, self.full_since = deque(), deque(), NEVER

    # --- what happens to it ---
    def receive(self, number, data):
        if number not in self.links:
            if number in self.since:
                return
            self.links[number], self.since[number] = 0, self.now
        try:
            if self.is_live(number):
                self.heard_at, self.pinged = self.now, False
                self.on_live(number, frames.decode(data))
            elif number in self.since:
                self.on_opening(number, data)
        except frames.Bad:
            self.detach(number, 4400, "again")

    def broke(self, number):
        if self.is_live(number):
            self.lose_link()
        self.links.pop(number, None)

    def game_says(self, message):
        if size_of(message) > self.given["window_bytes"]:
            self.part_with_game(4413)
            return
        self.waiting.append(message)
        self.pump()

    def accept(self, count):
        """The game server took so many messages."""
        for _ in range(count):
            self.talk.accept(self.pending.popleft(), self.now)
        if self.live and self.talk.ack_due_now():
            self.frame("ACK")

    def game_ends(self):
        self.bid_farewell(4410)

    def game_breaks(self):
        self.bid_farewell(4411)

    def end(self, code):
        """By the operator."""
        if self.live:
            self.part_with_game(code)
        else:
            self.finish(code)

    def operator_detaches(self, code, action, wait=0, address=""):
        number = self.live
        if action == "move":
            self.frame("DETACH", code=code, action=action, wait=wait, address=address)
            self.moving = (number, self.now + wait, code)
        else:
            self.detach(number, code, action, wait=wait, address=address)

    def renew(self, ticket):
        self.tickets = [*self.tickets, ticket]
        self.frame("TICKET", ticket=ticket)

    # --- links ---
    def is_live(self, number):
        return self.phase in ("unconfirmed", "kept") and self.live == number != 0

    def lose_link(self):
        self.live, self.detached_at, self.moving = 0, self.now, (0, NEVER)
        self.talk.ack_left()

    def detach(self, number, code, action, keep=False, **more):
        """This link ends. After its opening frame was refused, it takes one more if `keep`, and once."""
        ack = self.talk.accepted & 0xFFFFFFFF if self.is_live(number) else 0
        self.say(number, type="DETACH", seq=0, ack=ack, code=code, action=action, **more)
        if self.is_live(number):
            self.lose_link()
        self.links[number] += 1
        if keep and self.links[number] == 1:
            self.since[number] = self.now
        else:
            self.since[number] = NEVER
            del self.links[number]
            self.close_link(number, code)

    # --- opening frames ---
    def on_opening(self, number, data):
        frame = frames.decode(data)
        self.since[number] = NEVER
        if frame["type"] == "HELLO":
            self.on_hello(number, frame)
        elif frame["type"] == "RESUME":
            self.on_resume(number, frame, data)
        else:
            raise frames.Bad("no opening frame")

    def on_hello(self, number, frame):
        if frame["version"] == 0:
            self.detach(number, 4406, "stop")
            return
        self.begin()
        self.live = number
        terms = {name: self.given[name] for name in [*frames.TIMES, "addresses"]}
        self.frame("WELCOME", version=1, secret=self.secret.hex(), ticket=self.tickets[-1], **terms)

    def on_resume(self, number, frame, data):
        known = frame["ticket"] in self.tickets and self.phase != "none"
        proof = frames.proof_of(self.secret, data[:-32])
        if not known or not hmac.compare_digest(proof.hex(), frame["proof"]):
            self.detach(number, 4401, "login", keep=True)
        elif self.phase == "over":
            code, until = self.over
            self.detach(number, code if self.now < until else 4401, "login", keep=True)
        elif frame["epoch"] <= self.epoch:
            self.detach(number, 4412, "again", keep=True, epoch=self.epoch)
        elif int(frame["received"]) > self.talk.sent:
            self.detach(number, 4401, "login", keep=True)
        else:
            self.take_over(number, frame)

    def take_over(self, number, frame):
        self.epoch = frame["epoch"]
        if self.live:
            self.detach(self.live, 4409, "stop", epoch=self.epoch)
        talk = self.talk
        self.live, self.detached_at, self.pinged = number, NEVER, False
        self.heard_at = self.said_at = self.now
        following = max(int(frame["received"]), talk.acked) + 1
        self.frame("RESUMED", received=str(talk.read), next=str(following), last=str(talk.sent))
        self.confirm()
        for seq, message in list(talk.held):
            if seq >= following:
                self.data(seq, message)
        self.pump()

    def confirm(self):
        if self.phase == "unconfirmed":
            self.phase = "kept"
            self.out.append({"game": "open"})

    # --- the live link ---
    def on_live(self, number, frame):
        kind = frame["type"]
        freed = self.talk.acknowledge(frame["ack"])
        self.confirm()
        if freed:
            self.pump()
        if kind == "DATA":
            self.on_data(number, frame)
        elif kind == "PING":
            self.frame("PONG", number=frame["number"])
        elif kind == "CLOSE":
            self.on_close(frame)
        elif kind not in ("ACK", "PONG") and not kind.startswith("0x"):
            raise frames.Bad("a client does not send it here")

    def on_data(self, number, frame):
        if not self.talk.observe(frame["seq"]) or self.farewell:
            return
        message = {name: frame[name] for name in ("text", "hex", "zeros") if name in frame}
        bytes_pending = sum(size_of(m) for m in self.pending) + size_of(message)
        if len(self.pending) == self.given["window_messages"] or bytes_pending > self.given["window_bytes"]:
            self.detach(number, 4413, "again", wait=self.given["spread"])
            return
        self.talk.took()
        self.out.append({"game": "message", **message})
        self.pending.append(message)
        if self.given["accept"] == "at once":
            self.accept(1)

    def on_close(self, frame):
        if not self.farewell:
            self.frame("CLOSE", code=frame["code"])
        code = self.farewell or frame["code"]
        del self.links[self.live]
        self.finish(code)

    def bid_farewell(self, code):
        """The session ends as soon as the client has heard so, behind the last message, or when `grace` is over."""
        self.farewell = code
        self.pump()

    def part_with_game(self, code):
        self.out.append({"game": "close"})
        self.waiting.clear()
        self.bid_farewell(code)

    def finish(self, code):
        """4401: nobody came in time, so who comes later logs in, as after any session that is not known."""
        if not self.farewell and self.phase == "kept":
            self.out.append({"game": "close"})
        if self.live and self.live in self.links:
            number, self.live = self.live, 0
            del self.links[number]
            self.close_link(number, code)
        self.live, self.phase, self.over = 0, "over", (code, self.now + self.given["grace"])
        self.tell("ended", code=code)

    # --- what it sends ---
    def frame(self, kind, **fields):
        self.said_at = self.now
        self.say(self.live, type=kind, seq=0, ack=self.talk.accepted & 0xFFFFFFFF, **fields)
        self.talk.ack_left()

    def data(self, seq, message):
        self.said_at = self.now
        low = {"seq": seq & 0xFFFFFFFF, "ack": self.talk.accepted & 0xFFFFFFFF}
        self.say(self.live, type="DATA", **low, **message)
        self.talk.ack_left()

    def pump(self):
        while self.waiting and self.talk.has_room(self.waiting[0]):
            message = self.waiting.popleft()
            seq = self.talk.push(message)
            self.full_since = NEVER
            if self.live:
                self.data(seq, message)
        if self.waiting and self.full_since == NEVER:
            self.full_since = self.now
        if self.farewell and self.live and not self.waiting and self.said_close_on != self.live:
            self.said_close_on = self.live
            self.frame("CLOSE", code=self.farewell)

    # --- time ---
    def deadline(self):
        opening = min(self.since.values(), default=NEVER) + OPENING_TIME
        if self.phase not in ("unconfirmed", "kept"):
            return opening
        if self.phase == "unconfirmed":
            return min(opening, self.born + UNCONFIRMED_TIME)
        times = [opening, self.detached_at + self.given["grace"], self.full_since + self.given["pause"]]
        if self.live:
            times += [self.heard_at + self.given["dead"], self.talk.ack_deadline(), self.moving[1]]
            if not self.pinged:
                times.append(min(self.heard_at, self.said_at) + self.given["ping"])
        return min(times)

    def on_time(self):
        now, given = self.now, self.given
        for number, since in list(self.since.items()):
            if since + OPENING_TIME <= now:
                self.since[number] = NEVER
                del self.links[number]
                self.close_link(number, 4408)
        if self.phase not in ("unconfirmed", "kept"):
            return
        if self.phase == "unconfirmed" and self.born + UNCONFIRMED_TIME <= now:
            if self.live:
                self.detach(self.live, 4401, "login")
            self.finish(4401)
        elif self.detached_at + given["grace"] <= now:
            self.finish(4401)
        elif self.full_since + given["pause"] <= now:
            self.full_since = NEVER
            self.part_with_game(4413)
        elif self.live:
            self.on_link_time(now)

    def on_link_time(self, now):
        if self.heard_at + self.given["dead"] <= now:
            self.detach(self.live, 4408, "again", wait=0)
        elif self.talk.ack_deadline() <= now:
            self.frame("ACK")
        elif self.moving[1] <= now:
            number, _, code = self.moving
            self.lose_link()
            del self.links[number]
            self.close_link(number, code)
        elif not self.pinged and min(self.heard_at, self.said_at) + self.given["ping"] <= now:
            self.pinged = True
            self.pings += 1
            self.frame("PING", number=str(self.pings))
