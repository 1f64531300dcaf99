// Every HTTP route of the relay in one table: who may ask, with which body, and each answer that there is. Always true: a
// body is checked by the shape that stands here, and the document at /openapi.json is made of nothing else.
import { OPERATOR_PATHS, PATHS, type ProblemCode } from "@lethe/protocol";
import type { z } from "zod";
import * as answers from "./answers.ts";
import * as shapes from "./shapes.ts";

/**
 * `device`: signed by a device (clause H-SIGN). `capability`: with an upload key or a release token (clause M-CAPABILITY).
 * `operator`: with the token of the data folder, from this machine.
 */
export type Asker = "anybody" | "device" | "capability" | "operator";

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly asker: Asker;
  readonly says: string;
  /** A shape of JSON, or bytes that are handed on as they come. */
  readonly body?: z.ZodType | "bytes";
  /** Parts of the path, by name. */
  readonly params?: z.ZodObject;
  /** The body of each success: a shape, Prometheus text, any JSON, bytes, or nothing. */
  readonly answers: Readonly<Record<number, z.ZodType | "text" | "json" | "bytes" | "nothing">>;
  /** Refusals of the route itself. */
  readonly problems: readonly ProblemCode[];
}

const READS = ["storage-failed"] as const satisfies readonly ProblemCode[];
const WRITES = [...READS, "storage-full"] as const satisfies readonly ProblemCode[];

const publicRoutes = {
  about: {
    method: "GET",
    path: "/",
    asker: "anybody",
    says: "Which relay this is, and the versions that it speaks",
    answers: { 200: answers.about },
    problems: [],
  },
  policy: {
    method: "GET",
    path: PATHS.policy,
    asker: "anybody",
    says: "Who may register here, limits, periods and durability",
    answers: { 200: answers.policy },
    problems: [],
  },
  health: {
    method: "GET",
    path: OPERATOR_PATHS.health,
    asker: "anybody",
    says: "The process is up",
    answers: { 200: answers.up },
    problems: [],
  },
  ready: {
    method: "GET",
    path: OPERATOR_PATHS.ready,
    asker: "anybody",
    says: "The relay takes connections",
    answers: { 200: answers.ready },
    problems: ["not-ready"],
  },
  metrics: {
    method: "GET",
    path: OPERATOR_PATHS.metrics,
    asker: "anybody",
    says: "Counts and sizes as Prometheus text",
    answers: { 200: "text" },
    problems: [],
  },
  document: {
    method: "GET",
    path: OPERATOR_PATHS.document,
    asker: "anybody",
    says: "This document",
    answers: { 200: "json" },
    problems: [],
  },
} as const satisfies Record<string, Route>;

const accountRoutes = {
  register: {
    method: "POST",
    path: PATHS.accounts,
    asker: "device",
    says: "Registers an account with its first device, which signs; asked again with the same content it answers 200",
    body: shapes.registerBody,
    answers: { 200: answers.registered, 201: answers.registered },
    problems: [
      ...WRITES,
      "name-invalid",
      "name-taken",
      "account-exists",
      "registration-closed",
      "ticket-required",
      "ticket-invalid",
      "identity-unreachable",
    ],
  },
  putPrekeys: {
    method: "PUT",
    path: PATHS.prekeys,
    asker: "device",
    says: "Replaces the signed prekeys that are given, adds one-time prekeys or replaces all of them",
    body: shapes.prekeysBody,
    answers: { 200: answers.taken },
    problems: [...WRITES, "too-many-prekeys"],
  },
  heldPrekeys: {
    method: "GET",
    path: PATHS.prekeys,
    asker: "device",
    says: "The ids of the prekeys that the relay holds for the device",
    answers: { 200: answers.heldPrekeys },
    problems: READS,
  },
  heldPrekeysOf: {
    method: "GET",
    path: `${PATHS.prekeys}/:device`,
    asker: "device",
    says: "The same for another device of the account: one that has uploaded none yet has not been here",
    params: shapes.deviceParams,
    answers: { 200: answers.heldPrekeys },
    problems: [...READS, "not-found"],
  },
  putDeviceList: {
    method: "PUT",
    path: PATHS.deviceList,
    asker: "device",
    says: "Puts the successor of the device list on record; devices that are no longer listed lose their mailboxes",
    body: shapes.deviceListBody,
    answers: { 200: answers.taken },
    problems: [...WRITES, "list-conflict"],
  },
  putAccessKey: {
    method: "PUT",
    path: PATHS.accessKey,
    asker: "device",
    says: "Replaces the access key: whoever has the old one can submit no more",
    body: shapes.accessKeyBody,
    answers: { 200: answers.taken },
    problems: WRITES,
  },
  putPresence: {
    method: "PUT",
    path: PATHS.presence,
    asker: "device",
    says: "Whether holders of the access key may see when the account was last here",
    body: shapes.presenceBody,
    answers: { 200: answers.taken },
    problems: WRITES,
  },
  deleteAccount: {
    method: "DELETE",
    path: PATHS.account,
    asker: "device",
    says: "Removes the account with everything of it",
    answers: { 204: "nothing" },
    problems: WRITES,
  },
} as const satisfies Record<string, Route>;

const linkingRoutes = {
  putLinkingOffer: {
    method: "PUT",
    path: `${PATHS.linking}/:mailbox/offer`,
    asker: "device",
    says: "Makes a linking mailbox with what the account's primary device has to say to a new device",
    params: shapes.linkingParams,
    body: shapes.linkingBody,
    answers: { 200: answers.taken },
    problems: [...READS, "linking-taken", "linking-ended", "rate-limited"],
  },
  putLinkingJoin: {
    method: "PUT",
    path: `${PATHS.linking}/:mailbox/join`,
    asker: "anybody",
    says: "The new device's answer to the offer",
    params: shapes.linkingParams,
    body: shapes.linkingBody,
    answers: { 200: answers.taken },
    problems: [...READS, "linking-taken", "linking-ended", "rate-limited"],
  },
  putLinkingGrant: {
    method: "PUT",
    path: `${PATHS.linking}/:mailbox/grant`,
    asker: "device",
    says: "What makes the new device one of the account",
    params: shapes.linkingParams,
    body: shapes.linkingBody,
    answers: { 200: answers.taken },
    problems: [...READS, "linking-taken", "linking-early", "linking-ended", "rate-limited"],
  },
  getLinking: {
    method: "GET",
    path: `${PATHS.linking}/:mailbox/:slot`,
    asker: "anybody",
    says: "A message of a linking mailbox; waited for up to 10 s, then 204",
    params: shapes.linkingSlotParams,
    answers: { 200: answers.linkingMessage, 204: "nothing" },
    problems: [...READS, "linking-ended", "rate-limited"],
  },
  endLinking: {
    method: "DELETE",
    path: `${PATHS.linking}/:mailbox`,
    asker: "anybody",
    says: "Ends a linking mailbox: its messages are gone",
    params: shapes.linkingParams,
    answers: { 204: "nothing" },
    problems: [...READS, "rate-limited"],
  },
} as const satisfies Record<string, Route>;

/** What every request for media may meet. */
const MEDIA = [...READS, "media-off", "rate-limited"] as const satisfies readonly ProblemCode[];
/** And one with a capability. */
const OF_A_BLOB = [...MEDIA, "media-gone", "media-not-permitted"] as const satisfies readonly ProblemCode[];

const mediaRoutes = {
  beginMedia: {
    method: "PUT",
    path: `${PATHS.media}/:media`,
    asker: "device",
    says: "Begins an upload; asked again with the same content it answers 200",
    params: shapes.mediaParams,
    body: shapes.mediaBeginBody,
    answers: { 200: answers.mediaUpload, 201: answers.mediaUpload },
    problems: [...MEDIA, "storage-full", "media-too-large", "media-quota", "media-taken", "media-gone"],
  },
  media: {
    method: "GET",
    path: `${PATHS.media}/:media`,
    asker: "capability",
    says: "To the upload key: which parts are there",
    params: shapes.mediaParams,
    answers: { 200: answers.mediaUpload },
    problems: OF_A_BLOB,
  },
  putMediaPart: {
    method: "PUT",
    path: `${PATHS.media}/:media/parts/:part`,
    asker: "capability",
    says: "Takes a part, with the upload key; its length is said in Content-Length and is the part's own",
    params: shapes.mediaPartParams,
    body: "bytes",
    answers: { 204: "nothing" },
    problems: [...OF_A_BLOB, "storage-full", "media-part-wrong", "media-closed", "shutting-down"],
  },
  getMediaPart: {
    method: "GET",
    path: `${PATHS.media}/:media/parts/:part`,
    asker: "capability",
    says: "A part, or one range of it, with a release token; where parts are had directly, where from",
    params: shapes.mediaPartParams,
    answers: { 200: "bytes", 206: "bytes", 307: "nothing" },
    problems: [...OF_A_BLOB, "media-unfinished", "media-part-wrong", "media-range", "shutting-down"],
  },
  placeOfMediaPart: {
    method: "GET",
    path: `${PATHS.media}/:media/parts/:part/place`,
    asker: "capability",
    says: "Where a part is to be put, with the upload key; not-found where parts go through the relay",
    params: shapes.mediaPartParams,
    answers: { 200: answers.mediaPlace },
    problems: [...OF_A_BLOB, "media-part-wrong", "media-closed", "not-found"],
  },
  finishMedia: {
    method: "POST",
    path: `${PATHS.media}/:media/finish`,
    asker: "capability",
    says: "With the upload key: all parts are there; asked again it answers the same",
    params: shapes.mediaParams,
    answers: { 200: answers.mediaUpload },
    problems: [...OF_A_BLOB, "storage-full", "media-unfinished"],
  },
  putMediaTokens: {
    method: "PUT",
    path: `${PATHS.media}/:media/tokens`,
    asker: "capability",
    says: "With the upload key: adds and strikes marks of release tokens, and closes their list",
    params: shapes.mediaParams,
    body: shapes.mediaTokensBody,
    answers: { 200: answers.taken },
    problems: [...OF_A_BLOB, "storage-full", "media-closed"],
  },
  withdrawMedia: {
    method: "DELETE",
    path: `${PATHS.media}/:media`,
    asker: "capability",
    says: "With the upload key: the blob is gone for everybody",
    params: shapes.mediaParams,
    answers: { 204: "nothing" },
    problems: [...OF_A_BLOB, "storage-full"],
  },
  releaseMedia: {
    method: "POST",
    path: `${PATHS.media}/:media/release`,
    asker: "capability",
    says: "With a release token: this device needs the blob no longer; asked again it answers the same",
    params: shapes.mediaParams,
    answers: { 204: "nothing" },
    problems: [...OF_A_BLOB, "storage-full"],
  },
} as const satisfies Record<string, Route>;

const operatorRoutes = {
  figures: {
    method: "GET",
    path: OPERATOR_PATHS.adminFigures,
    asker: "operator",
    says: "What the relay does now",
    answers: { 200: answers.figures },
    problems: READS,
  },
  makeInvite: {
    method: "POST",
    path: OPERATOR_PATHS.adminInvites,
    asker: "operator",
    says: "Makes an invite",
    body: shapes.inviteBody,
    answers: { 201: answers.invite },
    problems: [...WRITES, "rate-limited"],
  },
  invites: {
    method: "GET",
    path: OPERATOR_PATHS.adminInvites,
    asker: "operator",
    says: "The invites that are open, by their marks",
    answers: { 200: answers.invites },
    problems: READS,
  },
  withdrawInvite: {
    method: "DELETE",
    path: `${OPERATOR_PATHS.adminInvites}/:mark`,
    asker: "operator",
    says: "Withdraws an invite",
    params: shapes.inviteParams,
    answers: { 204: "nothing" },
    problems: [...WRITES, "not-found"],
  },
  account: {
    method: "GET",
    path: `${OPERATOR_PATHS.adminAccounts}/:name`,
    asker: "operator",
    says: "An account's devices and how much mail waits for each",
    params: shapes.accountParams,
    answers: { 200: answers.account },
    problems: [...READS, "unknown-name"],
  },
  removeAccount: {
    method: "DELETE",
    path: `${OPERATOR_PATHS.adminAccounts}/:name`,
    asker: "operator",
    says: "Removes an account with everything of it",
    params: shapes.accountParams,
    answers: { 204: "nothing" },
    problems: [...WRITES, "unknown-name"],
  },
} as const satisfies Record<string, Route>;

export const ROUTES = {
  ...publicRoutes,
  ...accountRoutes,
  ...linkingRoutes,
  ...mediaRoutes,
  ...operatorRoutes,
};

export type RouteName = keyof typeof ROUTES;

const OF_A_SIGNATURE = ["unauthorized", "clock-skew", "replayed", "rate-limited"] as const;

/** Every code that the route can answer with, its own ones and those that come with signature, token, path and body. */
export function problemsOf(route: Route): ProblemCode[] {
  const { asker, method, params, body, problems } = route;
  const takesBody = method !== "GET";
  const all = new Set<ProblemCode>(problems);
  if (asker === "device") for (const code of OF_A_SIGNATURE) all.add(code);
  if (asker === "operator" || asker === "capability") all.add("unauthorized");
  if (takesBody || params !== undefined) all.add("bad-request");
  if (takesBody && body !== "bytes") all.add("frame-too-large");
  all.add("internal");
  return [...all];
}
