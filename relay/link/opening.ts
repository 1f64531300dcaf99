// How two nodes prove to each other that they are of one cluster, before anything else is said. A step is a function of
// state and frame. Always true: both proofs cover both nonces, ids, addresses and roles, so that neither fits another
// link, another direction or another time; the listener proves nothing to a caller that has not proved itself.
import { createHmac, type KeyObject, timingSafeEqual } from "node:crypto";
import { encode, type Of } from "@lethe/protocol";
import type { NodeId } from "@lethe/queue";
import { LINK_VERSIONS, type LinkEnd, transcript, type WireFrame, type WireFrameOf } from "./frames.ts";

/** Who a node is to others. */
export interface Self {
  readonly id: NodeId;
  /** Where others reach it, as its lease record says. */
  readonly address: string;
  /** The cluster's secret: a key object, which prints as nothing. */
  readonly key: KeyObject;
}

type Said = Omit<Of<typeof transcript>, "label" | "role">;
type Role = "caller" | "listener";

export type Opening =
  | { readonly at: "calling"; readonly hello: WireFrameOf<"hello">; readonly listenerAddress: string }
  | { readonly at: "awaiting-listener"; readonly said: Said }
  | { readonly at: "called" }
  | { readonly at: "awaiting-caller"; readonly said: Said }
  /** The caller has proved itself; whether this link is wanted is not decided. */
  | { readonly at: "proved"; readonly said: Said }
  | { readonly at: "awaiting-ready"; readonly said: Said }
  | { readonly at: "stands"; readonly peer: NodeId; readonly version: number };

/** The state afterwards and what is sent, or why the link ends. */
export type Step = { readonly to: Opening; readonly send: WireFrame | undefined } | { readonly end: LinkEnd };

export function call(
  self: Self,
  to: { readonly id: NodeId; readonly address: string },
  nonce: Uint8Array,
): Opening & { readonly at: "calling" } {
  const hello = { frame: "hello", ...LINK_VERSIONS, from: self.id, to: to.id, address: self.address, nonce };
  return { at: "calling", hello: hello as WireFrameOf<"hello">, listenerAddress: to.address };
}

export function hear(state: Opening, frame: WireFrame, self: Self, nonce: () => Uint8Array): Step {
  if (state.at === "calling" && frame.frame === "challenge") return challenged(state, frame, self);
  if (state.at === "awaiting-listener" && frame.frame === "proof") {
    if (!isProof(self.key, "listener", state.said, frame.mac)) return { end: "not-proved" };
    return { to: stands(state.said.listener, state.said), send: { frame: "ready" } };
  }
  if (state.at === "called" && frame.frame === "hello") return greeted(frame, self, nonce());
  if (state.at === "awaiting-caller" && frame.frame === "proof") {
    if (!isProof(self.key, "caller", state.said, frame.mac)) return { end: "not-proved" };
    return { to: { at: "proved", said: state.said }, send: undefined };
  }
  if (state.at === "awaiting-ready" && frame.frame === "ready")
    return { to: stands(state.said.caller, state.said), send: undefined };
  return { end: "unexpected" };
}

/** The listener wants this link: it proves itself, too. */
export function answer({ said }: Opening & { readonly at: "proved" }, self: Self): Step & { to: Opening } {
  const mac = proof(self.key, "listener", said);
  return { to: { at: "awaiting-ready", said }, send: { frame: "proof", mac } };
}

function greeted(hello: WireFrameOf<"hello">, self: Self, nonce: Uint8Array): Step {
  const { min, max, from, to, address } = hello;
  const version = Math.min(max, LINK_VERSIONS.max);
  if (version < Math.max(min, LINK_VERSIONS.min)) return { end: "version-unsupported" };
  if (to !== self.id || from === self.id) return { end: "wrong-node" };
  const said: Said = {
    version,
    min,
    max,
    caller: from,
    listener: to,
    callerAddress: address,
    listenerAddress: self.address,
    callerNonce: Uint8Array.from(hello.nonce),
    listenerNonce: nonce,
  };
  return { to: { at: "awaiting-caller", said }, send: { frame: "challenge", version, nonce } };
}

function challenged(
  { hello, listenerAddress }: Opening & { readonly at: "calling" },
  challenge: WireFrameOf<"challenge">,
  self: Self,
): Step {
  const { version } = challenge;
  if (version < hello.min || version > hello.max) return { end: "version-unsupported" };
  const said: Said = {
    version,
    min: hello.min,
    max: hello.max,
    caller: hello.from,
    listener: hello.to,
    callerAddress: hello.address,
    listenerAddress,
    callerNonce: hello.nonce,
    listenerNonce: Uint8Array.from(challenge.nonce),
  };
  const mac = proof(self.key, "caller", said);
  return { to: { at: "awaiting-listener", said }, send: { frame: "proof", mac } };
}

function stands(peer: NodeId, { version }: Said): Opening {
  return { at: "stands", peer, version };
}

function proof(key: KeyObject, role: Role, said: Said): Uint8Array {
  const bytes = encode(transcript, { label: "lethe link", role, ...said });
  return createHmac("sha256", key).update(bytes).digest();
}

function isProof(key: KeyObject, role: Role, said: Said, shown: Uint8Array): boolean {
  return timingSafeEqual(proof(key, role, said), shown);
}
