// Opening and closing the embedded backend: folder, directory (which is the lock), mail, chores, and back again.
import { randomBytes } from "node:crypto";
import type { Backend, EmbeddedConfig } from "../backend.ts";
import { LocalChores } from "../local/chores.ts";
import { LocalLeases } from "../local/leases.ts";
import { LocalLinkingMailboxes } from "../local/linking.ts";
import { Wakes } from "../local/wakes.ts";
import { StoreOpenError } from "../mailbox.ts";
import { realTimers, type Timers } from "../timers.ts";
import { type Box, Boxes } from "./boxes.ts";
import type { LedgerContents } from "./directory/calls.ts";
import { DirectoryClient } from "./directory/client.ts";
import { embeddedChores, embeddedDirectory, embeddedMedia } from "./directory/directory.ts";
import { eachConnection } from "./directory/ledger.ts";
import { codeOf, type FileLayer, folderFiles } from "./files.ts";
import { prepareFolder, raiseFormat } from "./folder.ts";
import { Forgetting } from "./forget.ts";
import { Ledger } from "./ledger.ts";
import { SHIPPED, type Tuning } from "./limits.ts";
import { SegmentLog } from "./log.ts";
import { Mail } from "./mail.ts";
import { EmbeddedMailbox } from "./mailbox.ts";
import { Positions } from "./positions.ts";
import { Reading } from "./reading.ts";
import { recover } from "./recovery.ts";
import { Segments } from "./segments.ts";

/** What tests put in place of the real thing. */
export interface EmbeddedParts {
  readonly files: (folder: string) => FileLayer;
  readonly timers: Timers;
  readonly tuning: Tuning;
}

export interface EmbeddedBackend extends Backend {
  readonly mailbox: EmbeddedMailbox;
  /** A pass of forgetting, now: of what is due, or of everything that was removed. */
  readonly forget: (which: "due" | "all") => Promise<void>;
}

/** @throws StoreOpenError */
export async function openEmbedded(
  config: EmbeddedConfig,
  given: Partial<EmbeddedParts> = {},
): Promise<EmbeddedBackend> {
  const parts: EmbeddedParts = { files: folderFiles, timers: realTimers, tuning: SHIPPED, ...given };
  const folder = await prepareFolder(config.folder);
  const client = await DirectoryClient.open(folder.database);
  try {
    await raiseFormat(config.folder);
    return await openOver(client, folder.mail, config, parts);
  } catch (error) {
    await client.close();
    if (error instanceof StoreOpenError) throw error;
    throw new StoreOpenError("folder-unusable", `cannot read the mail in ${config.folder}: ${codeOf(error)}`);
  }
}

async function openOver(
  client: DirectoryClient,
  mailFolder: string,
  config: EmbeddedConfig,
  { files, timers, tuning }: EmbeddedParts,
): Promise<EmbeddedBackend> {
  const { now } = config;
  const { mailbox, forgetting } = await openMail({
    client,
    files: files(mailFolder),
    timers,
    tuning,
    config,
  });
  const leases = new LocalLeases(now);
  const linking = new LocalLinkingMailboxes(now);
  const chores = new LocalChores(embeddedChores(client), now, timers);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    await chores.close();
    leases.close();
    linking.close();
    await mailbox.close();
    await client.close();
  };
  return {
    mailbox,
    directory: embeddedDirectory(client, now),
    leases,
    linking,
    media: embeddedMedia(client, now),
    chores,
    doubts: () => Promise.resolve([]),
    clock: () => Promise.resolve(now()),
    forget: (which) => forgetting.pass(which),
    close: () => (closing ??= close()),
  };
}

export interface MailParts {
  readonly client: DirectoryClient;
  readonly files: FileLayer;
  readonly timers: Timers;
  readonly tuning: Tuning;
  readonly config: Pick<EmbeddedConfig, "now" | "limits" | "report">;
}

export interface OpenMail {
  readonly mailbox: EmbeddedMailbox;
  readonly forgetting: Forgetting;
}

/** Recovers the mail in `files`, and begins to forget. */
export async function openMail({ client, files, timers, tuning, config }: MailParts): Promise<OpenMail> {
  const { now, report, limits } = config;
  const ledger = new Ledger(client, timers);
  const contents = await ledger.contents();
  const mail = new Mail(boxesOf(contents), new Segments());
  const { maxPosition, doubles } = await recover({ files, mail, now, report });
  const positions = await Positions.open({
    mark: Math.max(contents.positionMark, maxPosition),
    block: tuning.positionBlock,
    raise: (mark) => ledger.raisePositionMark(mark),
  });
  const seed = randomBytes(4).readUInt32BE();
  const log = new SegmentLog({ files, segments: mail.segments, tuning, seed, report });
  const reading = new Reading({ mail, tail: log.tail, now, report });
  const shared = { mail, log, reading, tuning, now, report };
  const forgetting = new Forgetting({ ...shared, files, timers, also: () => ledger.forget() });
  // Both copies of an entry must not be there when the one that stays is removed.
  if (doubles > 0) await forgetting.pass("all");
  forgetting.start();
  const mailbox = new EmbeddedMailbox({
    ...shared,
    positions,
    limits,
    ledger,
    forgetting,
    wakes: new Wakes(),
  });
  return { mailbox, forgetting };
}

function boxesOf(contents: LedgerContents): Boxes {
  const boxes = new Boxes(contents.retired);
  eachConnection(contents, (address, epoch, lastSeen) => {
    const box = boxes.of(address);
    if (box !== undefined) Object.assign(box, { epoch, lastSeen } satisfies Partial<Box>);
  });
  return boxes;
}
