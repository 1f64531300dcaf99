// Who may register: anybody, whoever has an invite, whoever the operator's own login service vouches for, nobody.
// Always true: a ticket is checked before anything is written; an invite's use is taken with the registration, in one
// transaction; a token counts for the name that it names, and for no other.
import { blake2b } from "@noble/hashes/blake2.js";
import { Refusal, type RegistrationPolicy } from "@lethe/protocol";
import { errors, type JWTVerifyGetKey, jwtVerify } from "jose";
import { openKeySet } from "./key-set.ts";

/** Signatures only, and none with a shared secret. */
const ALGORITHMS = [
  "EdDSA",
  "Ed25519",
  "ES256",
  "ES384",
  "ES512",
  "PS256",
  "PS384",
  "PS512",
  "RS256",
  "RS384",
  "RS512",
];
/** How far the login service's clock may be from ours, s. */
const CLOCK_TOLERANCE_S = 60;
/** Bytes of BLAKE2b-256 of an invite by which it is known. */
const MARK_BYTES = 16;

/** What a ticket is worth: the use of an invite, to be taken with the registration. */
export interface Leave {
  readonly invite: Uint8Array | undefined;
}

export interface Registrar {
  readonly policy: RegistrationPolicy;
  /** @throws Refusal registration-closed, ticket-required, ticket-invalid, identity-unreachable */
  leave(name: string, ticket: string | undefined): Promise<Leave>;
}

export interface TokenSettings {
  readonly issuer: string;
  readonly audience: string;
  /** A file with a JSON Web Key Set (RFC 7517), or its https address; followed as it changes. */
  readonly keys: string;
  /** The claim that holds the user's name here. */
  readonly nameClaim: string;
}

const FREE: Leave = { invite: undefined };

/** @throws Error where the key set cannot be read. */
export async function openRegistrar(
  policy: RegistrationPolicy,
  token: TokenSettings,
  now: () => number,
): Promise<Registrar> {
  switch (policy) {
    case "open":
      return { policy, leave: () => Promise.resolve(FREE) };
    case "closed":
      return { policy, leave: () => Promise.reject(new Refusal("registration-closed")) };
    case "invite":
      return { policy, leave: (_name, ticket) => Promise.resolve({ invite: inviteMark(required(ticket)) }) };
    case "jwt": {
      const keys = await openKeySet(token.keys);
      return {
        policy,
        async leave(name, ticket) {
          await vouchesFor(name, required(ticket), token, keys, now());
          return FREE;
        },
      };
    }
  }
}

/** By what an invite is known to the relay, which does not keep the invite itself. */
export function inviteMark(invite: string): Uint8Array {
  return blake2b(new TextEncoder().encode(invite), { dkLen: 32 }).subarray(0, MARK_BYTES);
}

function required(ticket: string | undefined): string {
  if (ticket === undefined) throw new Refusal("ticket-required");
  return ticket;
}

async function vouchesFor(
  name: string,
  ticket: string,
  { issuer, audience, nameClaim }: TokenSettings,
  keys: JWTVerifyGetKey,
  now: number,
): Promise<void> {
  const verified = await jwtVerify(ticket, keys, {
    issuer,
    audience,
    algorithms: ALGORITHMS,
    requiredClaims: ["exp", nameClaim],
    clockTolerance: CLOCK_TOLERANCE_S,
    currentDate: new Date(now),
  }).catch((error: unknown) => {
    throw new Refusal(isOfTheTicket(error) ? "ticket-invalid" : "identity-unreachable");
  });
  if (verified.payload[nameClaim] !== name) throw new Refusal("ticket-invalid");
}

/** Codes of jose that are not about the token: its keys could not be had. Nor is what is no error of jose's. */
const OF_THE_KEYS: ReadonlySet<string> = new Set([
  "ERR_JOSE_GENERIC",
  "ERR_JWKS_TIMEOUT",
  "ERR_JWKS_INVALID",
]);

function isOfTheTicket(error: unknown): boolean {
  return error instanceof errors.JOSEError && !OF_THE_KEYS.has(error.code);
}
