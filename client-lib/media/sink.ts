// Where a file that comes is written. Always true: what a sink has been given was authentic, and stands under its place only
// after `finish`, which is called when all of it was.

/** A place for one file. Implement it for whatever your application keeps files in; in Node there is `saveMedia`. */
export interface MediaSink {
  /** Names the place in the client's store, the same after a restart; at most 4,096 characters. */
  readonly place: string;
  /**
   * Makes ready to be written from byte `at` on, and drops what is behind it. False: what was written before is not there any
   * more, then it is called again with 0.
   */
  begin(at: number): Promise<boolean>;
  write(bytes: Uint8Array): Promise<void>;
  /** What was written is durable when it resolves. */
  flush(): Promise<void>;
  /**
   * Puts the file, of so many bytes, in its place, durably. After a crash it is called again, without `begin`: then that it is
   * there is enough. @throws ClientError media-not-saved: it is neither there nor to be put there
   */
  finish(size: number): Promise<void>;
  /** Removes what was written: it is not the file, or nobody wants it. */
  remove(): Promise<void>;
  /** Lets go of it. What was written stays for the next try. */
  close(): Promise<void>;
}
