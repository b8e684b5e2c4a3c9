// What is kept of consumer groups: their epoch, whether they are paused, and the epoch that is being built beside it. A
// group that has no row is in epoch 0 and runs. Every change is one transaction, and is refused where another came first.

/** Where an epoch begins on a partition that it has never read. */
export type GroupStart = "earliest" | "latest" | { timeMs: number };

/** What a new epoch does with one topic. */
export interface TopicPlan {
  topic: string;
  /** The making of the topic that is read; what was stored of earlier ones stays as it is. */
  incarnation: number;
  start: GroupStart;
  /**
   * Records and windows from this time on are built anew, those before it stay the old epoch's; a midnight (UTC), so that
   * no session spans it. Null: nothing is built, the topic is read for its claims alone.
   */
  fromTimeMs: number | null;
  /** The old reader has read these, and nobody does any more: the topic was made anew with fewer. Absent: none. */
  gonePartitions?: number[];
}

export interface Building {
  epoch: number;
  /** The reader before is stopped for good: the new one reads to its last positions, and takes over. */
  isHandingOver: boolean;
  topics: TopicPlan[];
  begunAtMs: number;
}

export interface StoredGroup {
  name: string;
  epoch: number;
  isPaused: boolean;
  /** Of its present epoch, where that was begun by a reset; null: as configured. */
  start: GroupStart | null;
  building: Building | null;
}

/** A group, as it is to be known when it is first written of. */
export interface GroupId {
  name: string;
  /** Queries see what its present epoch stores: one group's, at the most. */
  isShown: boolean;
}

export interface GroupStore {
  groups(): Promise<StoredGroup[]>;
  /** Gives a group that has no row an epoch of its own, so that what it stores stands apart from all others'. */
  addApart(id: GroupId): Promise<void>;
  setPaused(id: GroupId, isPaused: boolean): Promise<void>;
  /**
   * Ends epoch `from` here and now, its reader stopped for good, and begins the next one.
   * @returns the new epoch; undefined where the group is in another one by now, or one is being built
   */
  beginAnew(id: GroupId, from: number, start: GroupStart): Promise<number | undefined>;
  /** @returns the epoch that is built beside `from`; undefined as with `beginAnew` */
  beginBuilding(
    id: GroupId,
    from: number,
    topics: readonly TopicPlan[],
    nowMs: number,
  ): Promise<number | undefined>;
  /**
   * Stops the old reader: from here on its positions stay as they are. Not while windows of it are due: nobody else would
   * send their results.
   * @param sends whether results are sent at all (they are, unless told otherwise); else nothing due is waited for
   * @returns whether it is stopped; false: `epoch` is not being built, or something is due
   */
  handOver(name: string, epoch: number, sends?: { hasResults: boolean }): Promise<boolean>;
  /**
   * Makes the epoch that was built the group's, where its reader stands at exactly the old one's last positions in all
   * topics of the plan, or reads a later making of a topic, since what the old one held is gone. What it stored is seen,
   * and of the old epochs only what is older than it was built from.
   * @returns whether it is done; false: it is not handed over, or not read so far
   */
  switchTo(name: string, epoch: number): Promise<boolean>;
  /** Gives up what is being built: the old reader goes on, also where it was stopped for it. @returns whether it did */
  abandon(name: string, epoch: number): Promise<boolean>;
}

/** The name under which a group reads in an epoch: what stands as `group` in positions, claims and what is sent. */
export function readerOf(name: string, epoch: number): string {
  return epoch === 0 ? name : `${name}@${epoch}`;
}

/** The group of a reader. */
export function groupOfReader(reader: string, epoch: number): string {
  const end = `@${epoch}`;
  return epoch > 0 && reader.endsWith(end) ? reader.slice(0, -end.length) : reader;
}

/** Whether it is the name under which the group reads in any epoch. */
export function isReaderOf(reader: string, name: string): boolean {
  return reader === name || reader.startsWith(`${name}@`);
}
