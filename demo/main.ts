// A page for one conversation: open it in two tabs, as two people. `?user=anna&with=ben&relay=http://127.0.0.1:8787`
// Always true: what is shown as sent is held by the relay; a message is settled only after it is in the history.
import { Client, ClientError, type ClientStore, openIdbStore, sentenceOf, StoreError } from "@lethe/client";
import { History } from "./history.ts";
import {
  begin,
  letWrite,
  showChat,
  showLog,
  showNotice,
  showPresence,
  showState,
  takeText,
  write,
} from "./view.ts";

interface Who {
  readonly user: string;
  readonly peer: string;
  readonly relay: string;
}

async function openStore(user: string): Promise<ClientStore> {
  const name = `demo-${user}`;
  try {
    return await openIdbStore({ name });
  } catch (error) {
    if (!(error instanceof StoreError) || error.code !== "store-in-use") throw error;
    showState("waiting");
    showNotice(`${user} is open in another tab. This one takes over when that one is closed.`);
    return openIdbStore({ name, whenInUse: "wait" });
  }
}

async function talk({ user, peer, relay }: Who): Promise<void> {
  showChat(user, peer);
  showState("connecting");
  const history = new History(user, peer);
  const draw = (): void => showLog(history.all());
  draw();
  const client = await Client.create({ relay, user, store: await openStore(user), receiptJitterMs: 200 });
  showNotice(undefined);
  showState(client.connection);
  client.on("connection", ({ state }) => showState(state));
  client.on("displaced", () => showNotice("A copy of this account took over."));
  client.on("stopped", ({ code }) => showNotice(`Stopped: ${code}`));
  client.on("key-changed", () =>
    showNotice("The keys of the other side have changed: compare safety numbers."),
  );
  client.on("request", ({ from }) => {
    if (from === peer) client.accept(from).catch(complain);
  });
  client.on("presence", ({ user, state, lastSeen }) => {
    if (user === peer) showPresence(state, lastSeen);
  });
  // Somebody can be watched once they have accepted and something of theirs has come; more than once is no more than once.
  const watch = (): void => void client.watch(peer).catch(() => undefined);
  watch();
  client.on("sent", ({ id }) => (history.reached(id, "sent"), draw()));
  client.on("receipt", ({ id, state }) => (history.reached(id, state), draw(), watch()));
  client.on("gap", ({ id, missing }) => (history.add({ id, is: "gap", missing }), draw()));
  const unread: (() => void)[] = [];
  const read = (): void => {
    if (document.visibilityState === "visible") for (const tell of unread.splice(0)) tell();
  };
  client.on("message", (message) => {
    if (message.from !== peer || message.text === undefined) return;
    history.add({ id: message.id, is: "theirs", text: message.text });
    draw();
    watch();
    unread.push(() => message.read());
    read();
  });
  document.addEventListener("visibilitychange", read);
  addEventListener("online", () => client.reconnect());
  write.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = takeText();
    if (text !== "") say(text).catch(complain);
  });
  letWrite();

  async function say(text: string): Promise<void> {
    const { id } = await client.queue(peer, text);
    history.add({ id, is: "own", text, state: "waiting" });
    draw();
  }
}

function complain(error: unknown): void {
  if (error instanceof ClientError || error instanceof StoreError) showNotice(sentenceOf(error.code));
  else showNotice(error instanceof Error ? error.message : String(error));
}

function start(fields: URLSearchParams): void {
  const who = {
    user: fields.get("user") ?? "",
    peer: fields.get("with") ?? "",
    relay: fields.get("relay") ?? "",
  };
  if (who.user === "" || who.peer === "" || who.relay === "") begin.hidden = false;
  else
    talk(who).catch((error: unknown) => {
      showState("offline");
      complain(error);
    });
}

begin.addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = new URLSearchParams();
  for (const [name, value] of new FormData(begin)) if (typeof value === "string") fields.set(name, value);
  history.replaceState(null, "", `?${fields.toString()}`);
  start(fields);
});

start(new URLSearchParams(location.search));
