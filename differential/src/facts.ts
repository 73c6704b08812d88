/** What a program remembers of its own writes, to name sequences and revisions by them. */
export class Facts {
  /** Sequence of every publish, by body. */
  readonly sequences: Map<string, number> = new Map();
  /** Sequences of a subject, in order. */
  readonly bySubject: Map<string, number[]> = new Map();
  readonly published: number[] = [];
  /** Bodies that were replayed: their copies have places of their own. */
  readonly replayed: Set<string> = new Set();
  /** Names of revisions by bucket. */
  readonly revisions: Map<string, Map<number, string>> = new Map();
  /** Revisions of a key, in order; 0 for a removal. By bucket and key. */
  readonly byKey: Map<string, number[]> = new Map();
  readonly histories: Map<string, number> = new Map();
  /** The last ticks of values with a TTL of their own, by bucket and key. */
  readonly mortalKeys: Map<string, Map<string, number[]>> = new Map();
  /** The same of values in buckets with a TTL. */
  readonly agingKeys: Map<string, Map<string, number[]>> = new Map();
  /** TTLs of buckets, in units. */
  readonly bucketTtls: Map<string, number> = new Map();
  /** Buckets that another bus removed, by bus and bucket: the first use by this one takes long. */
  readonly lostBuckets: Set<string> = new Set();
  /** The last fence of a lease or job. */
  readonly fences: Map<string, number> = new Map();

  /** A publish was acknowledged. */
  addSequence(subject: string, body: string, sequence: number): void {
    this.sequences.set(body, sequence);
    this.published.push(sequence);
    this.bySubject.set(subject, [...(this.bySubject.get(subject) ?? []), sequence]);
  }

  /** A write was acknowledged. */
  addRevision(bucket: string, key: string, body: string, revision: number): void {
    const names = this.revisions.get(bucket) ?? new Map<number, string>();
    names.set(revision, body);
    this.revisions.set(bucket, names);
    const id = `${bucket}/${key}`;
    this.byKey.set(id, [...(this.byKey.get(id) ?? []), revision]);
  }

  /** A value is given a TTL of its own: `lastTick` is the last one in whose steps it is there. */
  addMortal(bucket: string, key: string, lastTick: number): void {
    addTick(this.mortalKeys, { bucket, key }, lastTick);
  }

  /** A value is written to a bucket that may have a TTL. */
  addAging(bucket: string, key: string, tick: number): void {
    const ttl = this.bucketTtls.get(bucket);
    if (ttl !== undefined) addTick(this.agingKeys, { bucket, key }, Math.floor(tick + ttl));
  }

  /** A revision by the write that made it. */
  revisionName(bucket: string, revision: number): string {
    return revision === 0 ? "none" : (this.revisions.get(bucket)?.get(revision) ?? "unnamed");
  }

  /** A sequence by the publish that made it. */
  sequenceName(sequence: number): string {
    if (sequence === 0) return "none";
    for (const [body, known] of this.sequences) if (known === sequence) return body;
    return "unnamed";
  }

  /** A removed bucket begins again. */
  forgetBucket(bucket: string): void {
    this.revisions.delete(bucket);
    this.histories.delete(bucket);
    for (const id of this.byKey.keys()) if (id.startsWith(`${bucket}/`)) this.byKey.delete(id);
  }

  /** What they belong to is gone. */
  forgetFences(prefix: string): void {
    for (const what of this.fences.keys()) if (what.startsWith(prefix)) this.fences.delete(what);
  }

  /** Whether a fence is greater than the last one of the same thing. */
  grows(what: string, fence: number): boolean {
    const last = this.fences.get(what) ?? -1;
    this.fences.set(what, fence);
    return fence > last;
  }
}

function addTick(
  ticks: Map<string, Map<string, number[]>>,
  { bucket, key }: { readonly bucket: string; readonly key: string },
  tick: number,
): void {
  const keys = ticks.get(bucket) ?? new Map<string, number[]>();
  ticks.set(bucket, keys.set(key, [...(keys.get(key) ?? []), tick]));
}
