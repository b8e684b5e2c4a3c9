/**
 * Kafka's range assignment: for each topic, the members that subscribed to it, in order of name, get consecutive
 * partitions, the first ones one more when they do not divide evenly.
 */

export interface Subscription {
  member: string;
  topics: ReadonlySet<string>;
}

/** Partitions of `topic` that belong to `member`. */
export function assignedPartitions(
  member: string,
  topic: string,
  partitions: number,
  subscriptions: readonly Subscription[],
): number[] {
  const members = subscriptions
    .filter(({ topics }) => topics.has(topic))
    .map((subscription) => subscription.member)
    .toSorted();
  const place = members.indexOf(member);
  if (place === -1) return [];
  const share = Math.floor(partitions / members.length);
  const extra = partitions % members.length;
  const first = place * share + Math.min(place, extra);
  return Array.from({ length: share + (place < extra ? 1 : 0) }, (_, i) => first + i);
}
