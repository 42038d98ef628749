// Four mistakes that the types have to find; package_test.mjs counts them.
import { RejoinSession } from "../dist/rejoin.mjs";

const session = new RejoinSession("wss://play.example/", { storage: "local" });
session.state = "live";
session.send(42);
session.addEventListener("resumed", ({ detail }) => detail.half);
