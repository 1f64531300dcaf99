// Every label of the protocol: what a key, hash, tag or signature is for. Each is an ASCII name under P followed by one
// byte 0, so no label is the prefix of another whatever the names are; a test holds that they are distinct.

/** P: protocol name and version. A change to any format or derivation of this package changes it. */
export const PROTOCOL = "Lethe/E2EE/v1";

const utf8 = new TextEncoder();

function label(name: string): Uint8Array {
  return utf8.encode(`${PROTOCOL}/${name}\0`);
}

export const LABELS = {
  signCertificate: label("sig/device-certificate"),
  signPossession: label("sig/device-possession"),
  signDeviceList: label("sig/device-list"),
  signSealingKey: label("sig/sealing-key"),
  signSignedPrekey: label("sig/signed-prekey"),
  signLastResort: label("sig/last-resort-kem-prekey"),
  signOneTimeKem: label("sig/one-time-kem-prekey"),
  signLinking: label("sig/device-linking"),
  accessKey: label("delivery"),
  pqxdh: label("pqxdh"),
  pqxdhTranscript: label("pqxdh-transcript"),
  replayTag: label("pqxdh-replay"),
  ratchetRoot: label("dr-root"),
  ratchetChain: label("dr-chain"),
  ratchetHeader: label("dr-hdr"),
  seal: label("seal"),
  sealContext: label("seal-context"),
  sealTagKey: label("seal-auth-key"),
  sealTag: label("seal-auth"),
  linking: label("linking"),
  linkingSecret: label("linking-secret"),
  linkingCheck: label("linking-check"),
  linkingTranscript: label("linking-transcript"),
  linkingJoin: label("linking-join"),
  linkingGrant: label("linking-grant"),
  linkingDigits: label("linking-digits"),
  contactLinkCheck: label("contact-link-check"),
  signGroupState: label("sig/group-state"),
  signGroupMessage: label("sig/group-message"),
  groupChain: label("group-chain"),
  groupContext: label("group-context"),
  media: label("media"),
  mediaHeader: label("media-header"),
  release: label("release"),
} as const;
