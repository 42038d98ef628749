"""What both ends of a session do alike: count, keep what was not acknowledged, owe acknowledgements, watch the time."""

from collections import deque

import frames

ACK_MESSAGES, ACK_BYTES, ACK_DELAY = 32, 16 * 1024, 200
NEVER = float("inf")


def size_of(message):
    return len(frames.message_of(message)[1])


class Conversation:
    """Both directions of one end. `sent` and `acked` are ours, `read` and `accepted` the other's."""

    def __init__(self, window_messages, window_bytes):
        self.window_messages, self.window_bytes = window_messages, window_bytes
        self.sent = self.acked = self.read = self.accepted = 0
        self.held = deque()  # (seq, message): sent, and not acknowledged
        self.told, self.owed_bytes, self.owed_since = 0, 0, NEVER

    def restart(self, sent, read):
        self.sent = self.acked = sent
        self.read = self.accepted = self.told = read
        self.held.clear()

    def has_room(self, message):
        used = sum(size_of(m) for _, m in self.held)
        return len(self.held) < self.window_messages and used + size_of(message) <= self.window_bytes

    def push(self, message):
        self.sent += 1
        self.held.append((self.sent, message))
        return self.sent

    def acknowledge(self, wire):
        """True if messages left the window. Bad: more than was sent."""
        count = frames.unwrap(wire, self.acked)
        if count > self.sent:
            raise frames.Bad("acknowledges what was never sent")
        freed = count > self.acked
        while self.acked < count:
            self.acked += 1
            self.held.popleft()
        return freed

    def observe(self, wire):
        """True: new. False: a duplicate. Bad: something is missing before it. Counts nothing: that is took()."""
        seq = frames.unwrap(wire, self.read + 1)
        if seq > self.read + 1:
            raise frames.Bad("a message before it is missing")
        return seq == self.read + 1

    def took(self):
        self.read += 1

    def accept(self, message, now):
        self.accepted += 1
        self.owed_bytes += size_of(message)
        self.owed_since = min(self.owed_since, now)

    def ack_due_now(self):
        owed = self.accepted - self.told
        messages = min(ACK_MESSAGES, max(self.window_messages // 4, 1))
        size = min(ACK_BYTES, max(self.window_bytes // 4, 1))
        return owed > 0 and (owed >= messages or self.owed_bytes >= size)

    def ack_left(self):
        """A frame left that bore `accepted`."""
        self.told, self.owed_bytes, self.owed_since = self.accepted, 0, NEVER

    def ack_deadline(self):
        return self.owed_since + ACK_DELAY


class End:
    """Says what it does into `out`: {"frame":, "link":}, {"close":, "code":}, {"told":, ...}, and of a gateway more."""

    def __init__(self):
        self.now, self.out = 0, []

    def take_out(self):
        out, self.out = self.out, []
        return out

    def say(self, link, **frame):
        self.out.append({"frame": frame, "link": link})

    def tell(self, what, **more):
        self.out.append({"told": what, **more})

    def close_link(self, link, code):
        self.out.append({"close": link, "code": code})

    def pass_time(self, ms):
        """From timer to timer, each at its own time."""
        end = self.now + ms
        while self.deadline() <= end:
            self.now = max(self.now, self.deadline())
            self.on_time()
        self.now = end
