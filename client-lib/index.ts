// What applications import. Everything else in this package is its own business. A bundle for browsers has `browser.ts`
// in its place; type checkers look here for both, so the store of browsers is here too, and says that there is none.
export type { SafetyNumber } from "@lethe/crypto";
export { Client } from "./client.ts";
export type {
  ClientEvent,
  ClientEvents,
  Conversation,
  Done,
  GroupMessage,
  Handler,
  OwnMessage,
  ReceivedMessage,
} from "./client-events.ts";
export type { ClientOptions, Contact, LinkedOptions } from "./client-options.ts";
export type { SendOptions, SentUpdate } from "./conversing.ts";
export type { ClientCore, CoreConfig, CoreView } from "./delivery/core.ts";
export { createClientCore } from "./delivery/core.ts";
export type * from "./delivery/events.ts";
export { CORE_TABLES } from "./delivery/rows.ts";
export { type Clock, systemClock } from "./edge/clock.ts";
export type { OpenSocket, Socket, SocketEvents } from "./edge/socket.ts";
export { ClientError, type ClientErrorCode } from "./errors.ts";
export type {
  Group,
  GroupMember,
  GroupProgress,
  GroupsApi,
  SentToGroup,
} from "./groups/group-api.ts";
export type { Device, Linking, OwnDevices } from "./linking/devices.ts";
export type { LinkingView } from "./linking/new-device.ts";
export { saveMedia } from "./media/file-sink.ts";
export { fileSource } from "./media/file-source.ts";
export type { MediaApi, SendMediaOptions } from "./media/media-api.ts";
export type { FetchOptions, ReadOptions, ReceivedMedia } from "./media/received.ts";
export { safeName } from "./media/safe-name.ts";
export type { MediaSink } from "./media/sink.ts";
export { blobSource, bytesSource, type MediaSource } from "./media/source.ts";
export type { UnfinishedUpload } from "./media/uploads.ts";
export type { SentMessage } from "./outgoing.ts";
export type { RelayPolicy } from "./policy.ts";
export { relayPolicy } from "./relay-policy.ts";
export type { ContactCard, MediaFields, SaidMessage, Target } from "./said.ts";
export { STORE_ERRORS, sentenceOf } from "./sentences.ts";
export { type IdbStoreOptions, openIdbStore, removeIdbStore } from "./store/idb.ts";
export { openMemoryStore } from "./store/memory.ts";
export { openSqliteStore, type SqliteStoreOptions } from "./store/sqlite.ts";
export { type ClientStore, StoreError, type StoreErrorCode } from "./store/store.ts";
