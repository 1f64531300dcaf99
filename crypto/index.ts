// What the package gives: end-to-end encryption over bytes. No I/O, no clock, no sockets; chance and time are parameters.
export type { Bundle, BundleRefusal, BundleResult, PrekeyItem, VerifiedBundle } from "./bundle.ts";
export { verifyBundle } from "./bundle.ts";
export type { Certificate } from "./certificate.ts";
export { certificateHash, parseCertificate, verifyCertificate } from "./certificate.ts";
export type { AddingRefusal, DeviceList, DeviceListBody, ListChange, ListedDevice } from "./device-list.ts";
export { isCurrent, listChange, parseDeviceList, verifyDeviceList } from "./device-list.ts";
export type {
  ChangedGroup,
  ChangingGroup,
  CreatingGroup,
  GroupChange,
  GroupChangeRefusal,
  MadeGroupState,
} from "./group-change.ts";
export { changeGroup, createGroup, GROUP_SEAL_KEY_BYTES } from "./group-change.ts";
export type {
  EncryptedForGroup,
  EncryptingForGroup,
  GroupCipher,
  GroupContentKind,
  HeardKeys,
  HearingKeys,
  InGroup,
  OpenedInGroup,
  OpeningInGroup,
  TellingKeys,
  ToldKeys,
} from "./group-cipher.ts";
export { decodeGroupView, encodeGroupView } from "./group-codec.ts";
export type { GroupSealId } from "./group-envelope.ts";
export { envelopeIdFor, groupSealId, sealIdsOf } from "./group-envelope.ts";
export type { JoinedGroup, JoiningGroup } from "./group-join.ts";
export { joinGroup } from "./group-join.ts";
export type { GroupOutcomeCode, GroupPolicy } from "./group-outcomes.ts";
export { GROUP_OUTCOMES, isSilentInGroup, mayOpenLater } from "./group-outcomes.ts";
export type { GroupRoster, RotationReason } from "./group-roster.ts";
export { rosterOf } from "./group-roster.ts";
export type { ChainToldRefusal, SenderChains } from "./group-senders.ts";
export type { OwnSenderKeys } from "./group-sender-keys.ts";
export { senderKeys } from "./group-sender-keys.ts";
export type {
  GroupId,
  GroupMember,
  GroupRole,
  GroupSigner,
  GroupState,
  GroupStateBody,
  GroupWriters,
} from "./group-state.ts";
export { accountFingerprint, memberOf, parseGroupState } from "./group-state.ts";
export type { GroupTold, ToldChain, ToldState } from "./group-told.ts";
export { decodeTold, encodeTold, tellState } from "./group-told.ts";
export type {
  AcceptedGroupState,
  AcceptingGroupState,
  GroupChanges,
  GroupStateRefusal,
  GroupView,
  PastEpoch,
} from "./group-view.ts";
export { acceptGroupState, expirePast } from "./group-view.ts";
export type { ContactLink, ReadContactLink } from "./contact-link.ts";
export { contactLink, readContactLink } from "./contact-link.ts";
export type { AccessKeyNotice, Control, ResendRequest } from "./control.ts";
export { decodeControl, encodeControl, MAX_RESEND_IDS } from "./control.ts";
export type { ArchivedRatchet, KeptRatchets } from "./kept.ts";
export {
  expireArchived,
  giveUp,
  giveUpOn,
  keepHeard,
  keepOwn,
  keepStep,
  NO_RATCHETS,
  ratchetsOf,
  replacement,
} from "./kept.ts";
export type { Identity, PublicIdentity, Removed, RemovingRefusal } from "./identity.ts";
export {
  ACCESS_KEY_BYTES,
  accessKey,
  accessKeyHash,
  accessKeyOf,
  addressOfIdentity,
  adoptList,
  createIdentity,
  decodeIdentity,
  encodeIdentity,
  maintainIdentity,
  PROFILE_KEY_BYTES,
  publicIdentity,
  removeDevice,
  renewSealing,
  replaceProfileKey,
  signAsAccount,
  signAsDevice,
} from "./identity.ts";
export { LABELS, PROTOCOL } from "./labels.ts";
export * from "./limits.ts";
export type { CodeRefusal, LinkingCode, LinkingMailbox, ReadCode } from "./linking-code.ts";
export { linkingText, readLinkingText } from "./linking-code.ts";
export type { OfferedAccount } from "./linking-messages.ts";
export type {
  AnsweredOffer,
  AwaitingGrant,
  Linked,
  NewDevice,
  NewDeviceRefusal,
  ShowingCode,
} from "./linking-device.ts";
export { acceptGrant, answerOffer, endLinking, showLinkingCode } from "./linking-device.ts";
export type {
  Comparing,
  Confirmed,
  Confirming,
  HeardJoining,
  JoiningDevice,
  Offered,
  Offering,
  PrimaryDevice,
  PrimaryRefusal,
  ScannedCode,
} from "./linking-primary.ts";
export { abandonLinking, confirmLinking, hearJoining, offerAccount } from "./linking-primary.ts";
export type { ContentKind, ListView } from "./envelope.ts";
export type {
  FirstMessageNeeds,
  ListStanding,
  Failed,
  NotOpened,
  Opened,
  OpenedWithoutContent,
  Opening,
  Outcome,
  ReplayTag,
  Unsealed,
  UnsealedEnvelope,
} from "./open.ts";
export { mayAskResend, open, unseal } from "./open.ts";
export type { MediaKey, MediaPosition } from "./media.ts";
export {
  capabilityMark,
  decodeMediaPosition,
  encodeMediaPosition,
  makeMediaKey,
  MEDIA_DIGEST_BYTES,
  MEDIA_ID_BYTES,
  MEDIA_KEY_BYTES,
  releaseToken,
} from "./media.ts";
export type { MediaFault, MediaShape } from "./media-opener.ts";
export { MediaOpener } from "./media-opener.ts";
export { MediaSealer } from "./media-sealer.ts";
export { dataBefore, isMediaSize, mediaPartBytes, paddedSize, sealedSize } from "./media-sizes.ts";
export type { OutcomeCode, Policy } from "./outcomes.ts";
export { isSilent, mayBeResent, OUTCOMES } from "./outcomes.ts";
export type {
  Encrypted,
  Encrypting,
  EncryptRefusal,
  Started,
  StartingRatchet,
} from "./pairwise.ts";
export { encrypt, isRenewalDue, startRatchet } from "./pairwise.ts";
export type { PeerDevice, PeerRefusal, PinnedAccount, VerifiedPeer, VerifyingPeer } from "./peer.ts";
export type { FollowedList, FollowingList } from "./peer-list.ts";
export { followList } from "./peer-list.ts";
export { bucketFor } from "./padding.ts";
export { decodePeer, encodePeer, verifyPeer } from "./peer.ts";
export type { MakingPrekeys, PrekeyId, PrekeyKind, PrekeyRecord, PrekeyUpload } from "./prekeys.ts";
export {
  decodePrekey,
  destroyAt,
  encodePrekey,
  makeOneTimePrekeys,
  makeSignedPrekeys,
  signedPrekeysDueAt,
  uploadOf,
} from "./prekeys.ts";
export { ready } from "./ready.ts";
export type { Random } from "./random.ts";
export { systemRandom } from "./random.ts";
export type { NumberedAccount, SafetyComparison, SafetyNumber } from "./safety-number.ts";
export { compareSafetyCode, SAFETY_CODE_BYTES, safetyNumber } from "./safety-number.ts";
export { Secret } from "./secret.ts";
export type { AeadInput } from "./primitives.ts";
export { blake2b, ed25519Verify, equal, sha512, xchachaOpen, xchachaSeal } from "./primitives.ts";
export type { ChainEnd, Ratchet, RatchetId, Replaced } from "./state.ts";
export { decodeRatchet, encodeRatchet } from "./state-codec.ts";
