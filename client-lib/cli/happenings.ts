// What a chat tells whatever shows it: lines that stand, and happenings that pass. Types alone.
import type { ClientEvents } from "../client-events.ts";
import type { GroupProgress } from "../groups/group-api.ts";
import type { TerminalImage } from "./terminal-image.ts";

export type State = "queued" | "sent" | "delivered" | "read" | "expired" | "refused";

export type Line =
  | {
      readonly kind: "in";
      readonly from: string;
      text: string;
      readonly at: number;
      readonly late: boolean;
    }
  | {
      readonly kind: "out";
      readonly number: number;
      readonly to: string;
      text: string;
      readonly at: number;
      state: State;
    }
  | { readonly kind: "note"; readonly text: string }
  /** Rows of `columns`, coloured by whoever drew them: shown as they are, or not at all. */
  | { readonly kind: "drawing"; readonly columns: number; readonly rows: readonly string[] }
  /** How far a file has come that is on its way, bytes. */
  | { readonly kind: "transfer"; readonly name: string; done: number; readonly of: number }
  /** `key`: of the file that it is. */
  | { readonly kind: "image"; readonly key: string; readonly image: TerminalImage };

/** Something has happened, for a face that prints it. */
export type Happening =
  | { readonly is: "line"; readonly line: Line }
  | {
      readonly is: "state";
      readonly number: number;
      readonly state: State;
      readonly code: string | undefined;
    }
  | { readonly is: "waiting"; readonly number: number; readonly code: string }
  | { readonly is: "typing"; readonly from: string }
  /** A message to a group has come to so many of its members. */
  | ({ readonly is: "progress"; readonly number: number } & GroupProgress)
  | { readonly is: "group"; readonly tag: string; readonly how: string; readonly members: number }
  | ({ readonly is: "presence" } & ClientEvents["presence"])
  | {
      readonly is: "reaction";
      readonly from: string;
      readonly text: string | undefined;
      readonly about: string;
    }
  | { readonly is: "edit"; readonly from: string; readonly text: string }
  /** A message is not there any more. */
  | {
      readonly is: "gone";
      readonly how: "deleted" | "disappeared";
      readonly from: string;
      readonly about: string;
    }
  | { readonly is: "timer"; readonly from: string; readonly ms: number | undefined }
  /** The relay has what was done to a message, or refuses it. */
  | { readonly is: "done" }
  | { readonly is: "request"; readonly from: string }
  | { readonly is: "contact"; readonly link: string }
  | { readonly is: "added"; readonly user: string }
  /** Whom one writes to from now on: a name, or a group as it is called. */
  | { readonly is: "to"; readonly to: string }
  | { readonly is: "gap"; readonly from: string; readonly missing: number }
  | { readonly is: "connection"; readonly state: "connecting" | "online" | "offline" }
  /** One's own message brings a file, of which the relay has so much; told at steps of ten. */
  | { readonly is: "upload"; readonly number: number; readonly percent: number }
  | { readonly is: "saving"; readonly name: string; readonly percent: number }
  | { readonly is: "saved"; readonly path: string }
  | { readonly is: "unsaved"; readonly name: string; readonly code: string }
  | { readonly is: "discarded"; readonly name: string }
  /** One of the files that can be saved, counted back from the newest. */
  | { readonly is: "file"; readonly number: number; readonly text: string }
  /** What stands there looks another way: nothing to print. */
  | { readonly is: "moved" }
  | { readonly is: "notice"; readonly text: string }
  /** A notice that a command has asked for. */
  | { readonly is: "answer"; readonly text: string }
  /** Nothing goes on by itself any more. */
  | { readonly is: "halted"; readonly why: string }
  | { readonly is: "error"; readonly text: string };
