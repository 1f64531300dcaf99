// The contract of the media ledger as tests, for every backend.
import { randomBytes } from "node:crypto";
import { type AccountId, MAX_MEDIA_TOKENS, type Time } from "@lethe/protocol";
import {
  type CapabilityMark,
  type MediaId,
  type MediaLedger,
  type MediaUpload,
  StoreClosedError,
} from "@lethe/queue";
import { describe, expect, it } from "vitest";
import type { BackendUnderTest, BackendWorld, Clock } from "./world.ts";

const HOUR = 3_600_000;
const ROOMY_QUOTA = { bytes: 1_000_000, blobs: 1_000 };

const anId = (): string => randomBytes(16).toString("latin1");
const aMark = (): CapabilityMark => anId() as CapabilityMark;
const marks = (count: number): CapabilityMark[] => Array.from({ length: count }, aMark);

function anUpload(clock: Clock, wish: Partial<MediaUpload> = {}): MediaUpload {
  return {
    media: anId() as MediaId,
    account: anId() as AccountId,
    bytes: 1_000,
    uploadKey: aMark(),
    expires: (clock.now() + 24 * HOUR) as Time,
    unfinished: (clock.now() + HOUR) as Time,
    ...wish,
  };
}

const add = (...tokens: readonly CapabilityMark[]) => ({ add: tokens, strike: [], close: false });
const strike = (...tokens: readonly CapabilityMark[]) => ({ add: [], strike: tokens, close: false });
const CLOSE = { add: [], strike: [], close: true };

/** A blob that was begun, with the tokens that it is to have; finished where it is to be had. */
async function begun(
  { backend: { media }, clock }: BackendWorld,
  {
    tokens = [],
    ready = false,
    ...wish
  }: Partial<MediaUpload> & { tokens?: CapabilityMark[]; ready?: boolean } = {},
): Promise<MediaUpload> {
  const upload = anUpload(clock, wish);
  expect(await media.begin(upload, ROOMY_QUOTA)).toBe("begun");
  if (tokens.length > 0)
    expect(await media.tokens(upload.media, upload.uploadKey, add(...tokens))).toBe("done");
  if (ready) expect(await media.finish(upload.media, upload.uploadKey)).toBe("ready");
  return upload;
}

/** What each verb says of a blob to whoever has the upload key and the token. */
async function everyVerb(
  ledger: MediaLedger,
  { media, uploadKey }: Pick<MediaUpload, "media" | "uploadKey">,
  token: CapabilityMark,
): Promise<unknown[]> {
  return [
    await ledger.upload(media, uploadKey),
    await ledger.download(media, token),
    await ledger.tokens(media, uploadKey, strike()),
    await ledger.release(media, token),
    await ledger.finish(media, uploadKey),
    await ledger.withdraw(media, uploadKey),
  ];
}

const ALL_GONE = Array.from({ length: 6 }, () => "gone");

/** Everything that has ended is forgotten; names what that was. */
async function collected({ backend: { media } }: BackendWorld): Promise<Set<MediaId>> {
  const ended = await media.ended(1_000);
  await media.forget(ended);
  return new Set(ended);
}

/** How a blob may come to its end. */
const ENDS: Record<
  string,
  (world: BackendWorld, upload: MediaUpload, token: CapabilityMark) => Promise<void>
> = {
  "was withdrawn": async ({ backend: { media } }, upload) => {
    expect(await media.withdraw(upload.media, upload.uploadKey)).toBe("ended");
  },
  "was released by the last": async ({ backend: { media } }, upload, token) => {
    expect(await media.tokens(upload.media, upload.uploadKey, CLOSE)).toBe("done");
    expect(await media.release(upload.media, token)).toBe("last");
  },
  "was closed after the last was struck": async ({ backend: { media } }, upload, token) => {
    const change = { add: [], strike: [token], close: true };
    expect(await media.tokens(upload.media, upload.uploadKey, change)).toBe("done");
  },
  "has expired": async (world) => {
    await world.elapse(24 * HOUR);
  },
};

export function mediaContract(backend: BackendUnderTest): void {
  describe(`media contract: ${backend.name}`, () => {
    beginning(backend);
    fetching(backend);
    ending(backend);
    lasting(backend);
  });
}

function beginning({ open }: BackendUnderTest): void {
  it("E2: blobs and bytes of an account have a cap each, which others' do not touch", async () => {
    await using world = await open();
    const { media } = world.backend;
    const account = anId() as AccountId;
    const quota = { bytes: 1_000, blobs: 3 };
    const begin = (bytes: number, whose = account) =>
      media.begin(anUpload(world.clock, { account: whose, bytes }), quota);
    expect(await begin(1_001)).toBe("full");
    expect(await begin(400)).toBe("begun");
    expect(await begin(601)).toBe("full");
    expect(await begin(599)).toBe("begun");
    expect(await begin(1)).toBe("begun");
    expect(await begin(0)).toBe("full");
    expect(await begin(1_000, anId() as AccountId)).toBe("begun");
    expect(await media.totals()).toEqual({ blobs: 4, bytes: 2_000 });
  });

  it("E2: what has ended counts until it is forgotten, and is then room again, once", async () => {
    await using world = await open();
    const { media } = world.backend;
    const quota = { bytes: 1_000, blobs: 2 };
    const account = anId() as AccountId;
    const [first, other, next] = [1, 2, 3].map(() => anUpload(world.clock, { account, bytes: 500 }));
    if (first === undefined || other === undefined || next === undefined) throw new Error("three uploads");
    expect(await media.begin(first, quota)).toBe("begun");
    expect(await media.begin(other, quota)).toBe("begun");
    await media.withdraw(first.media, first.uploadKey);
    expect(await media.begin(next, quota)).toBe("full");
    await media.forget([first.media, other.media]);
    await media.forget([first.media, other.media]);
    expect(await media.begin(next, quota)).toBe("begun");
    expect(await media.begin(anUpload(world.clock, { account, bytes: 1 }), quota)).toBe("full");
    expect(await media.totals()).toEqual({ blobs: 2, bytes: 1_000 });
  });

  it("E2: of many that begin at the same time, as many are begun as there is room for", async () => {
    await using world = await open();
    const { media } = world.backend;
    const account = anId() as AccountId;
    const uploads = Array.from({ length: 60 }, () => anUpload(world.clock, { account, bytes: 10 }));
    const answers = await Promise.all(uploads.map((each) => media.begin(each, { bytes: 175, blobs: 100 })));
    expect(answers.filter((answer) => answer === "begun")).toHaveLength(17);
    expect(answers.filter((answer) => answer === "full")).toHaveLength(43);
    expect(await media.totals()).toEqual({ blobs: 17, bytes: 170 });
  });

  it("E3: of the same upload many times at the same time one is begun, and it counts once", async () => {
    await using world = await open();
    const { media } = world.backend;
    const upload = anUpload(world.clock, { bytes: 600 });
    const quota = { bytes: 1_000, blobs: 10 };
    const answers = await Promise.all(Array.from({ length: 20 }, () => media.begin(upload, quota)));
    expect(answers.toSorted()).toEqual(["begun", ...Array.from({ length: 19 }, () => "same")]);
    expect(await media.begin(anUpload(world.clock, { account: upload.account, bytes: 401 }), quota)).toBe(
      "full",
    );
    expect(await media.begin(anUpload(world.clock, { account: upload.account, bytes: 400 }), quota)).toBe(
      "begun",
    );
  });

  it("E3: the same again is `same` also over the quota, and its times stay; others under its id are `taken`", async () => {
    await using world = await open();
    const { media } = world.backend;
    const upload = await begun(world);
    const later = { ...upload, expires: (upload.expires + HOUR) as Time };
    const again = () => media.begin(later, { bytes: 0, blobs: 0 });
    expect(await again()).toBe("same");
    expect(await media.upload(upload.media, upload.uploadKey)).toEqual({
      bytes: upload.bytes,
      expires: upload.expires,
      state: "open",
    });
    const others = [{ bytes: upload.bytes + 1 }, { uploadKey: aMark() }, { account: anId() as AccountId }];
    const begin = () => Promise.all(others.map((other) => media.begin({ ...upload, ...other }, ROOMY_QUOTA)));
    expect(await begin()).toEqual(["taken", "taken", "taken"]);
    await media.withdraw(upload.media, upload.uploadKey);
    expect([await again(), ...(await begin())]).toEqual(["same", "taken", "taken", "taken"]);
    expect(await collected(world)).toEqual(new Set([upload.media]));
    expect(await media.begin(later, ROOMY_QUOTA)).toBe("begun");
    expect(await media.upload(upload.media, upload.uploadKey)).toMatchObject({ expires: later.expires });
  });

  it("E3: what was `taken` or `full` uses up no room of whoever asked", async () => {
    await using world = await open();
    const { media } = world.backend;
    const theirs = await begun(world);
    const account = anId() as AccountId;
    const quota = { bytes: 1_000, blobs: 1 };
    expect(await media.begin(anUpload(world.clock, { account, media: theirs.media }), quota)).toBe("taken");
    expect(await media.begin(anUpload(world.clock, { account, bytes: 2_000 }), quota)).toBe("full");
    expect(await media.begin(anUpload(world.clock, { account, bytes: 1_000 }), quota)).toBe("begun");
    expect(await media.begin(anUpload(world.clock, { account, media: theirs.media }), quota)).toBe("full");
  });
}

function fetching({ open }: BackendUnderTest): void {
  it("E4: is open until `finish`, then ready, and `finish` again changes nothing", async () => {
    await using world = await open();
    const { media } = world.backend;
    const token = aMark();
    const upload = await begun(world, { tokens: [token] });
    const record = { bytes: upload.bytes, expires: upload.expires };
    expect(await media.upload(upload.media, upload.uploadKey)).toEqual({ ...record, state: "open" });
    expect(await media.download(upload.media, token)).toBe("unfinished");
    expect(await media.finish(upload.media, upload.uploadKey)).toBe("ready");
    expect(await media.finish(upload.media, upload.uploadKey)).toBe("ready");
    expect(await media.upload(upload.media, upload.uploadKey)).toEqual({ ...record, state: "ready" });
    expect(await media.download(upload.media, token)).toEqual({ ...record, state: "ready" });
  });

  it("permits nothing to a capability of another blob, or of another kind", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const token = aMark();
    const { media, uploadKey } = await begun(world, { tokens: [token], ready: true });
    const other = await begun(world, { tokens: [aMark()], ready: true });
    for (const [key, mark] of [
      [other.uploadKey, other.uploadKey],
      [token, uploadKey],
      ["" as CapabilityMark, "" as CapabilityMark],
    ] as const)
      expect(await everyVerb(ledger, { media, uploadKey: key }, mark)).toEqual(
        Array.from({ length: 6 }, () => "not-permitted"),
      );
    expect(await ledger.download(media, token)).toMatchObject({ state: "ready" });
  });

  it("says of one that never was what it says of one that has ended", async () => {
    await using world = await open();
    expect(await everyVerb(world.backend.media, anUpload(world.clock), aMark())).toEqual(ALL_GONE);
  });

  it("E5: one token's release is not another's; a struck one gets nothing, and may be released again", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const [one, two] = [aMark(), aMark()];
    const { media, uploadKey } = await begun(world, { tokens: [one, two], ready: true });
    expect(await ledger.release(media, one)).toBe("released");
    expect(await ledger.release(media, one)).toBe("released");
    expect(await ledger.download(media, one)).toBe("gone");
    expect(await ledger.tokens(media, uploadKey, add(one))).toBe("done");
    expect(await ledger.download(media, one)).toBe("gone");
    expect(await ledger.tokens(media, uploadKey, CLOSE)).toBe("done");
    expect(await ledger.release(media, one)).toBe("released");
    expect(await ledger.download(media, two)).toMatchObject({ state: "ready" });
    expect(await ledger.release(media, two)).toBe("last");
    expect(await ledger.release(media, two)).toBe("gone");
  });

  it("E5: all tokens struck and the list open, it is there; closing ends it, also before it is ready", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    for (const ready of [true, false]) {
      const token = aMark();
      const { media, uploadKey } = await begun(world, { tokens: [token], ready });
      expect(await ledger.release(media, token)).toBe("released");
      expect(await ledger.upload(media, uploadKey)).toMatchObject({ state: ready ? "ready" : "open" });
      expect(await ledger.tokens(media, uploadKey, CLOSE)).toBe("done");
      expect(await everyVerb(ledger, { media, uploadKey }, token)).toEqual(ALL_GONE);
    }
  });

  it("E5: a closed list takes what it has, and nothing new; struck ones that were never there are nothing", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const [token, late, never] = [aMark(), aMark(), aMark()];
    const { media, uploadKey } = await begun(world, { tokens: [token], ready: true });
    expect(await ledger.tokens(media, uploadKey, { ...add(token), strike: [never], close: true })).toBe(
      "done",
    );
    expect(await ledger.tokens(media, uploadKey, add(token))).toBe("done");
    expect(await ledger.tokens(media, uploadKey, { add: [late], strike: [token], close: false })).toBe(
      "closed",
    );
    expect(await ledger.tokens(media, uploadKey, add(never))).toBe("closed");
    expect(await ledger.download(media, late)).toBe("not-permitted");
    expect(await ledger.download(media, token)).toMatchObject({ state: "ready" });
    expect(await ledger.tokens(media, uploadKey, strike(never, token, token))).toBe("done");
    expect(await ledger.upload(media, uploadKey)).toBe("gone");
  });

  it("E5: what is added and struck in one step is struck", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const token = aMark();
    const { media, uploadKey } = await begun(world, { ready: true });
    expect(await ledger.tokens(media, uploadKey, { add: [token], strike: [token], close: false })).toBe(
      "done",
    );
    expect(await ledger.download(media, token)).toBe("gone");
  });

  it("has so many tokens and no more, struck ones and repeated ones told apart", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const tokens = marks(MAX_MEDIA_TOKENS);
    const [first, second] = tokens as [CapabilityMark, CapabilityMark];
    const { media, uploadKey } = await begun(world, { ready: true });
    const tooMany = add(...tokens, aMark());
    expect(await ledger.tokens(media, uploadKey, tooMany)).toBe("too-many");
    expect(await ledger.download(media, first)).toBe("not-permitted");
    expect(await ledger.tokens(media, uploadKey, add(...tokens, first))).toBe("done");
    expect(await ledger.release(media, first)).toBe("released");
    expect(await ledger.tokens(media, uploadKey, { ...add(aMark()), strike: [second] })).toBe("too-many");
    expect(await ledger.download(media, second)).toMatchObject({ state: "ready" });
    expect(
      await ledger.tokens(media, uploadKey, { add: tokens, strike: tokens.slice(1, -1), close: true }),
    ).toBe("done");
    expect(await ledger.release(media, tokens.at(-1) as CapabilityMark)).toBe("last");
  });

  it("E5: of many releases at the same time one is the last", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const tokens = marks(50);
    const { media, uploadKey } = await begun(world, { tokens, ready: true });
    await ledger.tokens(media, uploadKey, CLOSE);
    const answers = await Promise.all(tokens.map((token) => ledger.release(media, token)));
    expect(answers.filter((answer) => answer === "last")).toHaveLength(1);
    expect(answers.filter((answer) => answer === "released")).toHaveLength(49);
  });
}

function ending({ open }: BackendUnderTest): void {
  for (const [how, end] of Object.entries(ENDS)) {
    it(`E5, E6: one that ${how} is gone for everybody, and stands in \`ended\` until it is forgotten`, async () => {
      await using world = await open();
      const { media: ledger } = world.backend;
      const token = aMark();
      const upload = await begun(world, { tokens: [token], ready: true });
      const stays = await begun(world, { expires: (world.clock.now() + 48 * HOUR) as Time, ready: true });
      expect(await ledger.ended(10)).toEqual([]);
      await end(world, upload, token);
      expect(await everyVerb(ledger, upload, token)).toEqual(ALL_GONE);
      expect(await ledger.ended(10)).toEqual([upload.media]);
      expect(await ledger.ended(10)).toEqual([upload.media]);
      expect(await ledger.known([upload.media, stays.media])).toEqual([true, true]);
      await ledger.forget([upload.media, stays.media, anId() as MediaId]);
      expect(await ledger.known([upload.media, stays.media])).toEqual([false, true]);
      expect(await ledger.ended(10)).toEqual([]);
      expect(await everyVerb(ledger, upload, token)).toEqual(ALL_GONE);
      expect(await ledger.totals()).toEqual({ blobs: 1, bytes: stays.bytes });
      const again = { ...upload, uploadKey: aMark(), expires: stays.expires, unfinished: stays.expires };
      expect(await ledger.begin(again, ROOMY_QUOTA)).toBe("begun");
      expect(await ledger.download(upload.media, token)).toBe("not-permitted");
    });
  }

  it("E5: one that is not ready in time ends at that very moment, one that is ready does not", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const [late, ready] = [await begun(world), await begun(world, { ready: true })];
    await world.elapse(HOUR - 100);
    expect(await ledger.upload(late.media, late.uploadKey)).toMatchObject({ state: "open" });
    await world.elapse(100);
    expect(await ledger.finish(late.media, late.uploadKey)).toBe("gone");
    expect(await ledger.upload(ready.media, ready.uploadKey)).toMatchObject({ state: "ready" });
    expect(await collected(world)).toEqual(new Set([late.media]));
  });

  it("E6: `ended` gives no more than was asked for, and all of them in the end", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const uploads = await Promise.all(Array.from({ length: 25 }, () => begun(world)));
    await world.elapse(HOUR);
    const seen = new Set<MediaId>();
    for (let ended = await ledger.ended(10); ended.length > 0; ended = await ledger.ended(10)) {
      expect(ended.length).toBeLessThanOrEqual(10);
      for (const media of ended) seen.add(media);
      await ledger.forget(ended);
    }
    expect(seen).toEqual(new Set(uploads.map(({ media }) => media)));
    expect(await ledger.totals()).toEqual({ blobs: 0, bytes: 0 });
  });

  it("E7: whoever leaves ends what they have not finished; the rest is had by its recipients, and is nobody's", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const account = anId() as AccountId;
    const token = aMark();
    const open_ = await begun(world, { account, tokens: [token] });
    const ready = await begun(world, { account, tokens: [token], ready: true });
    const ended = await begun(world, { account });
    const others = await begun(world);
    await ledger.withdraw(ended.media, ended.uploadKey);
    await ledger.leave(account);
    await ledger.leave(account);
    expect(await everyVerb(ledger, open_, token)).toEqual(ALL_GONE);
    expect(await ledger.download(ready.media, token)).toMatchObject({ state: "ready" });
    expect(await ledger.upload(others.media, others.uploadKey)).toMatchObject({ state: "open" });
    expect(await collected(world)).toEqual(new Set([open_.media, ended.media]));
    const whole = { bytes: 1_000, blobs: 1 };
    expect(await ledger.begin({ ...ready }, ROOMY_QUOTA)).toBe("taken");
    expect(await ledger.begin(anUpload(world.clock, { account }), whole)).toBe("begun");
    await ledger.tokens(ready.media, ready.uploadKey, CLOSE);
    expect(await ledger.release(ready.media, token)).toBe("last");
    expect(await collected(world)).toEqual(new Set([ready.media]));
    expect(await ledger.begin(anUpload(world.clock, { account, bytes: 1 }), whole)).toBe("full");
  });
}

function lasting({ keeps, open }: BackendUnderTest): void {
  it.runIf(keeps)("E1: everything that was answered is there after a restart", async () => {
    await using world = await open();
    const ledger = (): MediaLedger => world.backend.media;
    const account = anId() as AccountId;
    const [one, two] = [aMark(), aMark()];
    const unfinished = await begun(world, { account, tokens: [one] });
    const ready = await begun(world, { account, tokens: [one, two], ready: true });
    const [withdrawn, forgotten] = [await begun(world, { account }), await begun(world, { account })];
    await ledger().release(ready.media, one);
    await ledger().tokens(ready.media, ready.uploadKey, CLOSE);
    await ledger().withdraw(forgotten.media, forgotten.uploadKey);
    expect(await collected(world)).toEqual(new Set([forgotten.media]));
    await ledger().withdraw(withdrawn.media, withdrawn.uploadKey);
    await world.restart();
    expect(await ledger().upload(unfinished.media, unfinished.uploadKey)).toMatchObject({ state: "open" });
    expect(await ledger().download(unfinished.media, one)).toBe("unfinished");
    expect(await ledger().download(ready.media, one)).toBe("gone");
    expect(await ledger().download(ready.media, two)).toMatchObject({ state: "ready" });
    expect(await ledger().tokens(ready.media, ready.uploadKey, add(aMark()))).toBe("closed");
    expect(await ledger().ended(10)).toEqual([withdrawn.media]);
    expect(await ledger().known([forgotten.media])).toEqual([false]);
    expect(await ledger().totals()).toEqual({ blobs: 3, bytes: 3_000 });
    const quota = { bytes: 3_999, blobs: 10 };
    expect(await ledger().begin(anUpload(world.clock, { account }), quota)).toBe("full");
    expect(await ledger().release(ready.media, two)).toBe("last");
  });

  it.runIf(keeps)("E6, E7: of what was forgotten, or whose account has left, no file knows", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const [gone, left] = [marks(30), marks(3)];
    const [account, leaving] = [anId() as AccountId, anId() as AccountId];
    const upload = await begun(world, { account, tokens: gone, ready: true });
    const kept = await begun(world, { account: leaving, tokens: left, ready: true });
    const holds = (id: string): Promise<boolean> => world.holds(Buffer.from(id, "latin1"));
    for (const id of [upload.media, upload.uploadKey, ...gone, ...left, leaving])
      expect(await holds(id)).toBe(true);
    await ledger.withdraw(upload.media, upload.uploadKey);
    await collected(world);
    await ledger.leave(leaving);
    for (let pass = 0; pass < 4; pass++) await world.forget();
    for (const id of [upload.media, upload.uploadKey, account, leaving, ...gone])
      expect(await holds(id)).toBe(false);
    for (const token of left)
      expect(await ledger.download(kept.media, token)).toMatchObject({ state: "ready" });
  });

  it("E8: closing settles what was begun; after it every verb is refused", async () => {
    await using world = await open();
    const { media: ledger } = world.backend;
    const token = aMark();
    const upload = await begun(world, { tokens: [token] });
    const underWay = [
      ledger.begin(anUpload(world.clock), ROOMY_QUOTA),
      ledger.finish(upload.media, upload.uploadKey),
      ledger.release(upload.media, token),
    ];
    await world.backend.close();
    expect(await Promise.all(underWay)).toEqual(["begun", "ready", "released"]);
    for (const verb of [
      () => ledger.begin(upload, ROOMY_QUOTA),
      () => ledger.upload(upload.media, upload.uploadKey),
      () => ledger.finish(upload.media, upload.uploadKey),
      () => ledger.tokens(upload.media, upload.uploadKey, CLOSE),
      () => ledger.withdraw(upload.media, upload.uploadKey),
      () => ledger.download(upload.media, token),
      () => ledger.release(upload.media, token),
      () => ledger.ended(1),
      () => ledger.forget([upload.media]),
      () => ledger.known([upload.media]),
      () => ledger.leave(upload.account),
      () => ledger.totals(),
    ])
      await expect(verb()).rejects.toThrow(StoreClosedError);
  });
}
