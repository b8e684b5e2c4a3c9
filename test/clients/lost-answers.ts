// A client whose answer was lost sends again what Kafka has already. That this counts once is the consumers' work.

/** False while the consumers store a batch as often as it comes: the tests of lost answers are then skipped. */
export const isRepeatCountedOnce = false as boolean;
