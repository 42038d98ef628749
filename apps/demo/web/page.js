// The page of `rejoin demo --web`: one player on a Rejoin session, one on a plain WebSocket, both in the same arena and
// steered by the same hand, and a network that the buttons break. Each keeps account of every message.
"use strict";
(() => {
  const FIELD = { width: 1000, height: 600 };
  const SPAN_MS = 60_000;  // of the timelines
  const text = new TextDecoder();
  const SESSION_HUES = [262, 205, 312, 178];
  const now = () => performance.now();
  const inTime = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);
  const $ = (selector, within = document) => within.querySelector(selector);

  // --- who plays ---

  const letters = "abcdefghijklmnopqrstuvwxyz0123456789";
  const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => letters[n % 36]).join("");
  const remembered = (name, make) => {
    let value = sessionStorage.getItem(name);
    if (value === null) sessionStorage.setItem(name, (value = make()));
    return value;
  };
  // A duplicated tab brings its sessionStorage along: it has a session of its own (see the client's keeper), and one network
  // with the first.
  const path = remembered("demo.path", randomId);
  const hue = Number(remembered("demo.hue", () => String(Math.floor(Math.random() * 360))));
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/play?p=${path}`;

  // --- the account of one player: what came, what is missing, what came twice ---

  class Account {
    constructor() {
      this.begin(true);
      this.lost = 0;
      this.twice = 0;
      this.received = 0;
    }
    /** A new player in the arena; `whole`: every message from the first one on is ours to see. */
    begin(whole) {
      this.last = whole ? 0 : null;
      this.wrongOrders = 0;
      this.orders = whole ? 0 : null;  // given so far; null: the server will tell
    }
    take(state) {
      ++this.received;
      if (this.last === null) this.last = state.n - 1;
      if (state.n > this.last + 1) this.lost += state.n - this.last - 1;
      if (state.n <= this.last) ++this.twice;
      this.last = Math.max(this.last, state.n);
      if (this.orders === null) {
        // The page before this one may have given orders that are still on their way: leap over them. The server takes the
        // leap for a gap, once.
        this.orders = state.go + 1000;
        this.wrongOrders = state.bad + 1;
      }
      if (state.bad > this.wrongOrders) {  // orders of ours that never arrived, or arrived twice
        this.lost += state.bad - this.wrongOrders;
        this.wrongOrders = state.bad;
      }
    }
  }

  // --- a timeline: sessions above, links below, breaks between them ---

  class Timeline {
    constructor(canvas) {
      this.canvas = canvas;
      this.begun = 0;
      this.sessions = [];  // {from, to, hue}
      this.links = [];     // {from, to, server, took, replayed}
    }
    sessionBegan() {
      this.sessionEnded();
      this.sessions.push({ from: now(), to: null, hue: SESSION_HUES[this.begun++ % SESSION_HUES.length] });
    }
    sessionEnded() {
      const last = this.sessions.at(-1);
      if (last && last.to === null) last.to = now();
    }
    linkBegan(what = {}) {
      this.linkEnded();
      this.links.push({ from: now(), to: null, ...what });
    }
    linkEnded() {
      const last = this.links.at(-1);
      if (last && last.to === null) last.to = now();
    }
    draw() {
      const { context: c, width, height } = fit(this.canvas);
      const at = (time) => width - ((now() - time) / SPAN_MS) * width;
      const style = getComputedStyle(document.documentElement);
      const color = (name) => style.getPropertyValue(name);
      c.clearRect(0, 0, width, height);
      for (const list of [this.sessions, this.links]) {
        while (list.length > 1 && list[0].to !== null && at(list[0].to) < -40) list.shift();
      }
      for (const it of this.sessions) {
        const from = Math.max(0, at(it.from)), to = it.to === null ? width : at(it.to);
        c.fillStyle = `hsl(${it.hue} 60% 60%)`;
        bar(c, from, 8, Math.max(3, to - from - 2), 9);
      }
      let last = null, labelled = -Infinity;
      for (const it of this.links) {
        const from = at(it.from), to = it.to === null ? width : at(it.to);
        if (last !== null) {  // the break
          c.fillStyle = color("--bad");
          c.globalAlpha = 0.85;
          c.fillRect(last, 34, Math.max(2, from - last), 4);
          c.globalAlpha = 1;
        }
        c.fillStyle = color("--good");
        bar(c, Math.max(0, from), 26, Math.max(3, to - Math.max(0, from)), 20);
        c.font = "600 11px system-ui, sans-serif";
        c.textAlign = "left";
        if (it.server && to - from > 26) {
          c.fillStyle = color("--card");
          c.fillText(it.server, Math.max(0, from) + 6, 40);
        }
        if (it.took !== undefined && from > -60) {
          const label = `${inTime(it.took)}${it.replayed ? ` +${it.replayed}` : ""}`, wide = c.measureText(label).width;
          const x = Math.min(width - wide - 2, Math.max(2, from));
          c.fillStyle = color("--soft");
          if (x > labelled) c.fillText(label, x, 59);
          labelled = Math.max(labelled, x + wide + 6);
        }
        last = to;
      }
      const open = this.links.at(-1);
      if (open && open.to !== null) {
        c.fillStyle = color("--bad");
        c.fillRect(at(open.to), 34, width - at(open.to), 4);
      }
    }
  }

  function bar(c, x, y, width, height) {
    c.beginPath();
    c.roundRect(x, y, width, height, Math.min(5, width / 2));
    c.fill();
  }

  /** The canvas at the screen's resolution. */
  function fit(canvas) {
    const ratio = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    return { context, width, height };
  }

  // --- the scene ---

  class Scene {
    constructor(canvas) {
      this.canvas = canvas;
      this.bodies = new Map();
      this.stars = [];
      this.me = null;
    }
    take(state) {
      const seen = new Set();
      for (const [id, x, y, bodyHue, stars, name] of state.p) {
        seen.add(id);
        const body = this.bodies.get(id) ?? { x, y, trail: [] };
        Object.assign(body, { toX: x, toY: y, hue: bodyHue, stars, name });
        this.bodies.set(id, body);
      }
      for (const id of this.bodies.keys()) if (!seen.has(id)) this.bodies.delete(id);
      this.stars = state.s;
    }
    get mine() {
      return this.bodies.get(this.me);
    }
    draw() {
      const { context: c, width, height } = fit(this.canvas);
      const scale = Math.max(width / FIELD.width, height / FIELD.height);
      const style = getComputedStyle(document.documentElement);
      c.fillStyle = style.getPropertyValue("--field");
      c.fillRect(0, 0, width, height);
      c.save();
      c.translate((width - FIELD.width * scale) / 2, (height - FIELD.height * scale) / 2);
      c.scale(scale, scale);
      c.fillStyle = style.getPropertyValue("--grid");
      for (let x = 50; x < FIELD.width; x += 50) for (let y = 50; y < FIELD.height; y += 50) c.fillRect(x - 1.5, y - 1.5, 3, 3);
      for (const [x, y] of this.stars) star(c, x, y, 15 + Math.sin(now() / 300 + x) * 1.5);
      for (const [id, body] of this.bodies) this.drawBody(c, body, id === this.me, style);
      c.restore();
    }
    drawBody(c, body, mine, style) {
      body.x += (body.toX - body.x) * 0.28;
      body.y += (body.toY - body.y) * 0.28;
      body.trail.push([body.x, body.y]);
      if (body.trail.length > 22) body.trail.shift();
      body.trail.forEach(([x, y], i) => {
        c.fillStyle = `hsl(${body.hue} 70% 55% / ${(i / body.trail.length) * 0.22})`;
        circle(c, x, y, 6 + (i / body.trail.length) * 13);
      });
      const dx = Math.max(-1, Math.min(1, (body.toX - body.x) / 12)), dy = Math.max(-1, Math.min(1, (body.toY - body.y) / 12));
      if (mine) {
        c.strokeStyle = style.getPropertyValue("--ink");
        c.lineWidth = 3;
        c.beginPath();
        c.arc(body.x, body.y, 28, 0, 7);
        c.stroke();
      }
      c.fillStyle = `hsl(${body.hue} 68% 52%)`;
      circle(c, body.x, body.y, 21);
      for (const side of [-7, 7]) {
        c.fillStyle = "#fff";
        circle(c, body.x + side + dx * 3, body.y - 4 + dy * 3, 5.5);
        c.fillStyle = "#17202e";
        circle(c, body.x + side + dx * 5, body.y - 4 + dy * 5, 2.6);
      }
      c.fillStyle = style.getPropertyValue("--ink");
      c.font = `${mine ? 700 : 500} 17px system-ui, sans-serif`;
      c.textAlign = "center";
      c.fillText(body.name + (body.stars ? `  ★${body.stars}` : ""), body.x, body.y + 46);
    }
  }

  function circle(c, x, y, radius) {
    c.beginPath();
    c.arc(x, y, radius, 0, 7);
    c.fill();
  }
  function star(c, x, y, radius) {
    c.beginPath();
    for (let i = 0; i < 10; ++i) {
      const angle = (i * Math.PI) / 5 - Math.PI / 2, r = i % 2 ? radius * 0.45 : radius;
      c.lineTo(x + Math.cos(angle) * r, y + Math.sin(angle) * r);
    }
    c.fillStyle = "#f0b90f";
    c.fill();
  }

  // --- what both players have ---

  class Player {
    constructor(id, name) {
      this.element = document.getElementById(id);
      this.name = name;
      this.scene = new Scene($(".scene canvas", this.element));
      this.timeline = new Timeline($(".timeline", this.element));
      this.account = new Account();
      this.breaks = 0;
      this.server = "–";
    }
    set state(value) {
      this.element.dataset.state = value;
    }
    get state() {
      return this.element.dataset.state;
    }
    figure(name, value) {
      const at = $(`[data-figure=${name}]`, this.element);
      if (at && at.textContent !== String(value)) at.textContent = value;
    }
    flash(words) {
      const at = $(".flash", this.element);
      at.replaceChildren(Object.assign(document.createElement("span"), { textContent: words }));
      at.classList.remove("on");
      void at.offsetWidth;  // the animation begins anew
      at.classList.add("on");
    }
    hear(message) {
      const said = JSON.parse(typeof message === "string" ? message : text.decode(message));
      if (said.t === "hello") {
        this.scene.me = said.you;
        this.server = `g${said.door + 1}`;
        sessionStorage.setItem(`demo.${this.element.id}`, JSON.stringify([said.you, said.door]));
      } else if (said.t === "state") {
        this.account.take(said);
        this.scene.take(said);
      }
      if (this.timeline.links.length > 0) this.timeline.links.at(-1).server = this.server;
    }
    order(dx, dy) {
      if (this.account.orders === null || !this.ready()) return;
      if (this.send(`go ${this.account.orders + 1} ${dx.toFixed(2)} ${dy.toFixed(2)}`)) ++this.account.orders;
    }
    show() {
      this.figure("server", this.server);
      this.figure("breaks", this.breaks);
      $(".stars", this.element).textContent = this.scene.mine?.stars ?? 0;
      this.scene.draw();
      this.timeline.draw();
    }
  }

  // --- with Rejoin: a session, which outlives its links ---

  class RejoinPlayer extends Player {
    constructor() {
      super("rejoin", "Rejoin");
      this.replayed = 0;
      this.session = new Rejoin.RejoinSession(url, { storage: "session", storageKey: `demo.${path}` });
      const on = (type, listener) => this.session.addEventListener(type, (event) => listener(event.detail ?? event));
      on("opened", () => {  // a new player in the arena
        this.account.begin(true);
        this.timeline.sessionBegan();
        this.timeline.linkBegan();
        this.session.send(`join ${hue} ${this.name}`);
        this.state = "live";
      });
      on("resumed", (detail) => {
        if (!detail.whole) {  // the page was loaded again: who it is in the arena was kept, what it had seen was not
          const [me, door] = JSON.parse(sessionStorage.getItem("demo.rejoin") ?? "[null,0]");
          this.scene.me = me;
          this.server = `g${door + 1}`;
          this.account.begin(false);
        }
        if (this.timeline.sessions.length === 0) this.timeline.sessionBegan();
        this.replayed += detail.toCome + detail.sentAgain;
        this.resume = detail.tookMs;
        this.timeline.linkBegan({ took: detail.tookMs, replayed: detail.toCome + detail.sentAgain });
        this.state = "live";
        this.flash(`${inTime(detail.tookMs)}  ·  +${detail.toCome + detail.sentAgain}`);
      });
      on("link", (detail) => {
        if (detail.what !== "closed" || this.session.state === "ended") return;
        ++this.breaks;
        this.timeline.linkEnded();
        if (this.session.state !== "live") this.state = "broken";
      });
      on("state", (detail) => {
        if (detail.state === "detached" || detail.state === "resuming") this.state = "broken";
        if (detail.state === "connecting" && detail.previous !== "connecting") this.timeline.sessionEnded();
      });
      on("message", (event) => this.hear(event.data));
      on("ended", () => {
        this.timeline.sessionEnded();
        this.timeline.linkEnded();
        this.state = "out";
      });
    }
    ready() {
      return this.session.state !== "connecting" && this.session.state !== "ended";
    }
    send(words) {
      return this.session.send(words);  // with no link, too: it is delivered later
    }
    show() {
      const figures = this.session.figures;
      this.figure("links", figures.links);
      this.figure("resume", this.resume === undefined ? "–" : inTime(this.resume));
      this.figure("replayed", this.replayed);
      for (const name of ["lost", "twice"]) {
        this.figure(name, this.account[name]);
        $(`[data-figure=${name}]`, this.element).parentElement.classList.toggle("wrong", this.account[name] !== 0);
      }
      super.show();
    }
  }

  // --- without: what every other page does ---

  class PlainPlayer extends Player {
    constructor() {
      super("plain", "Plain");
      this.links = this.logins = this.starsLost = 0;
      $(".login", this.element).addEventListener("submit", (event) => {
        event.preventDefault();
        this.logIn();
      });
      this.logIn();
    }
    logIn() {
      this.socket?.close();
      this.state = "connecting";
      const socket = (this.socket = new WebSocket(url));
      socket.binaryType = "arraybuffer";
      socket.onopen = () => {
        ++this.links;
        ++this.logins;
        this.account.begin(true);
        this.timeline.sessionBegan();
        this.timeline.linkBegan();
        socket.send(`join ${hue} ${this.name}`);
        this.heard = now();
        this.state = "live";
      };
      socket.onmessage = (event) => {
        if (socket !== this.socket) return;
        this.heard = now();
        if (this.state === "broken") this.state = "live";
        this.hear(event.data);
      };
      socket.onclose = () => {
        if (socket === this.socket) this.thrownOut();
      };
    }
    thrownOut() {
      if (this.state === "out") return;
      ++this.breaks;
      this.starsLost += this.scene.mine?.stars ?? 0;
      this.scene.bodies.delete(this.scene.me);
      this.timeline.linkEnded();
      this.timeline.sessionEnded();
      this.state = "out";
    }
    ready() {
      return this.socket.readyState === WebSocket.OPEN && this.state !== "out";
    }
    send(words) {
      this.socket.send(words);
      return true;
    }
    show() {
      if (this.state === "live" && now() - this.heard > 1500) this.state = "broken";  // it looks so; nobody tells
      this.figure("links", this.links);
      this.figure("logins", this.logins);
      this.figure("lost", this.starsLost);
      $("[data-figure=lost]", this.element).parentElement.classList.toggle("wrong", this.starsLost !== 0);
      super.show();
    }
  }

  // --- steering: keys, a finger, or by itself ---

  const steering = { keys: new Set(), pointer: null, touched: -Infinity, dx: 0, dy: 0 };
  const KEYS = { ArrowLeft: [-1, 0], a: [-1, 0], ArrowRight: [1, 0], d: [1, 0], ArrowUp: [0, -1], w: [0, -1], ArrowDown: [0, 1], s: [0, 1] };
  addEventListener("keydown", (event) => {
    if (!(event.key in KEYS) || event.ctrlKey || event.metaKey || event.altKey) return;
    steering.keys.add(event.key);
    steering.touched = now();
    event.preventDefault();
  });
  addEventListener("keyup", (event) => steering.keys.delete(event.key));
  addEventListener("blur", () => steering.keys.clear());
  for (const canvas of document.querySelectorAll(".scene canvas")) {
    const point = (event) => {
      const box = canvas.getBoundingClientRect(), scale = Math.max(box.width / FIELD.width, box.height / FIELD.height);
      steering.pointer = [(event.clientX - box.left - (box.width - FIELD.width * scale) / 2) / scale,
                          (event.clientY - box.top - (box.height - FIELD.height * scale) / 2) / scale];
      steering.touched = now();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      point(event);
    });
    canvas.addEventListener("pointermove", (event) => event.buttons && point(event));
    for (const over of ["pointerup", "pointercancel"]) canvas.addEventListener(over, () => (steering.pointer = null));
  }
  function directionOf(player) {
    let dx = 0, dy = 0;
    for (const key of steering.keys) {
      dx += KEYS[key][0];
      dy += KEYS[key][1];
    }
    const me = player.scene.mine;
    let goal = steering.pointer;
    if (me && goal === null && steering.keys.size === 0 && now() - steering.touched > 4000) {
      // Nobody steers: to the nearest star.
      for (const it of player.scene.stars) {
        if (goal === null || Math.hypot(it[0] - me.toX, it[1] - me.toY) < Math.hypot(goal[0] - me.toX, goal[1] - me.toY)) goal = it;
      }
    }
    if (me && goal !== null) {
      const far = Math.hypot(goal[0] - me.toX, goal[1] - me.toY);
      if (far > 14) [dx, dy] = [(goal[0] - me.toX) / far, (goal[1] - me.toY) / far];
    }
    return [dx, dy];
  }

  // --- the network ---

  async function network(what) {
    const answer = await fetch(`/network/${path}${what}`);
    const found = await answer.json();
    const at = $("#address");
    if (at.textContent !== found.address) {
      at.textContent = found.address;
      at.parentElement.classList.remove("changed");
      void at.offsetWidth;
      at.parentElement.classList.add("changed");
    }
    return found;
  }
  const FREEZE_MS = 10_000;
  for (const button of document.querySelectorAll("nav button")) {
    button.addEventListener("click", async () => {
      const what = button.dataset.do;
      if (what !== "freeze") return void network(`/${what}`);
      if (button.classList.contains("busy")) return;
      button.classList.add("busy");
      const begun = now();
      await network(`/freeze?ms=${FREEZE_MS}`);
      const timer = setInterval(() => {
        const done = (now() - begun) / FREEZE_MS;
        button.style.setProperty("--done", `${Math.min(100, done * 100)}%`);
        if (done < 1) return;
        clearInterval(timer);
        button.classList.remove("busy");
      }, 100);
    });
  }

  // --- all of it ---

  const rejoin = new RejoinPlayer(), plain = new PlainPlayer();
  network("");
  setInterval(() => {
    for (const player of [rejoin, plain]) player.order(...directionOf(player));
  }, 100);
  (function frame() {
    rejoin.show();
    plain.show();
    requestAnimationFrame(frame);
  })();
  globalThis.demo = { rejoin, plain, network };  // for tests, and for the curious
})();
