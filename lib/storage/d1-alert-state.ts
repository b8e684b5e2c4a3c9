// What became of alerts, on D1: the state of each, the transitions, and what is to be sent. A judgement is recorded in
// one batch, which is one transaction; the first statement is the fence, by which of two judgements made from the same
// version one is recorded.
import { withDeadline, type D1, type D1Statement, type D1Value } from "./d1-database.ts";
import { faultOf } from "./d1-fault.ts";
import { jsonChunks } from "./d1-json.ts";

export interface AlertPlace {
  rule: string;
  fingerprint: string;
}

/** Fits Judgement of lib/alerts. */
export interface AlertChanges {
  /** Whole, as JSON. */
  put: AlertPlace[];
  forgotten: AlertPlace[];
  transitions: { id: string; state: string; at: string }[];
  outbox: { id: string; target: string; body: string }[];
  goneRules: string[];
}

export interface AlertOutboxRow {
  id: string;
  target: string;
  body: string;
  attempts: number;
}

/** Where a page of transitions ended. */
export interface TransitionKey {
  atMs: number;
  id: string;
}

const FENCE = `INSERT INTO fence (ok) SELECT 0
  WHERE COALESCE((SELECT version FROM alert_owners WHERE tenant = ?1), 0) <> ?2`;
const MOVE = `INSERT INTO alert_owners (tenant, version) VALUES (?1, ?2)
  ON CONFLICT (tenant) DO UPDATE SET version = excluded.version`;
const PUT = `INSERT INTO alert_instances (tenant, rule, fingerprint, instance)
  SELECT ?2, i.value ->> 'rule', i.value ->> 'fingerprint', i.value FROM json_each(?1) AS i WHERE true
  ON CONFLICT (tenant, rule, fingerprint) DO UPDATE SET instance = excluded.instance`;
const FORGET = `DELETE FROM alert_instances WHERE tenant = ?2 AND (rule, fingerprint) IN
  (SELECT i.value ->> 'rule', i.value ->> 'fingerprint' FROM json_each(?1) AS i)`;
const RECORD = `INSERT INTO alert_transitions (id, tenant, state, at_ms, alert)
  SELECT t.value ->> 'id', ?2, t.value ->> 'state', ?3, t.value FROM json_each(?1) AS t`;
const SEND = `INSERT INTO alert_outbox (id, tenant, target, body, attempts, due_ms, created_ms)
  SELECT o.value ->> 'id', ?2, o.value ->> 'target', o.value ->> 'body', 0, ?3, ?3 FROM json_each(?1) AS o`;
/** One of the defaults, which has no JSON of its own, stays deleted. */
const DROP_RULES = `DELETE FROM alert_rules WHERE tenant = ?2 AND is_deleted = 1 AND rule <> '{}'
  AND id IN (SELECT r.value FROM json_each(?1) AS r)`;

export class D1AlertState {
  readonly #db: D1;

  constructor(db: D1) {
    this.#db = db;
  }

  /** What a judgement is made from. 0: there was none. Read before all else. @throws StorageError, as all */
  async version(tenant: string): Promise<number> {
    const sql = `SELECT version FROM alert_owners WHERE tenant = ?1`;
    const [row] = await this.#rows("reading the version of alerts", sql, tenant);
    return Number(row?.version ?? 0);
  }

  /** As they were put. */
  async instances(tenant: string): Promise<unknown[]> {
    const sql = `SELECT instance FROM alert_instances WHERE tenant = ?1`;
    const rows = await this.#rows("reading alerts", sql, tenant);
    return rows.map((row) => JSON.parse(String(row.instance)) as unknown);
  }

  /** @returns `fenced` where another judgement was recorded since: nothing was written */
  async record(
    tenant: string,
    version: { from: number; to: number },
    changes: AlertChanges,
    nowMs: number,
  ): Promise<"recorded" | "fenced"> {
    const statements: D1Statement[] = [this.#db.prepare(FENCE).bind(tenant, version.from)];
    const add = (sql: string, values: readonly unknown[], ...rest: D1Value[]) => {
      for (const chunk of jsonChunks(values))
        statements.push(this.#db.prepare(sql).bind(chunk, tenant, ...rest));
    };
    statements.push(this.#db.prepare(MOVE).bind(tenant, version.to));
    add(PUT, changes.put);
    add(FORGET, changes.forgotten);
    add(RECORD, changes.transitions, nowMs);
    add(SEND, changes.outbox, nowMs);
    add(DROP_RULES, changes.goneRules);
    try {
      await withDeadline("recording alerts", () => this.#db.batch(statements));
      return "recorded";
    } catch (error) {
      if (faultOf(error) === "fenced") return "fenced";
      throw error;
    }
  }

  /** Newest first; one more than `limit` tells that there are more. @param state undefined: all */
  async transitions(
    tenant: string,
    state: string | undefined,
    after: TransitionKey | undefined,
    limit: number,
  ): Promise<{ key: TransitionKey; alert: unknown }[]> {
    const sql = `SELECT id, at_ms, alert FROM alert_transitions
      WHERE tenant = ?1 AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR (at_ms, id) < (?3, ?4))
      ORDER BY at_ms DESC, id DESC LIMIT ?5`;
    const values = [tenant, state ?? null, after?.atMs ?? null, after?.id ?? null, limit + 1];
    const rows = await this.#rows("reading the history of alerts", sql, ...values);
    return rows.map((row) => ({
      key: { atMs: Number(row.at_ms), id: String(row.id) },
      alert: JSON.parse(String(row.alert)) as unknown,
    }));
  }

  /** What is due, of each target the oldest `limit`. */
  async due(tenant: string, nowMs: number, limit: number): Promise<AlertOutboxRow[]> {
    const sql = `SELECT id, target, body, attempts, created_ms FROM (
        SELECT *, row_number() OVER (PARTITION BY target ORDER BY created_ms, id) AS place FROM alert_outbox
        WHERE tenant = ?1 AND due_ms <= ?2
      ) WHERE place <= ?3 ORDER BY created_ms, id`;
    const rows = await this.#rows("reading the outbox of alerts", sql, tenant, nowMs, limit);
    return rows.map((row) => ({
      id: String(row.id),
      target: String(row.target),
      body: String(row.body),
      attempts: Number(row.attempts),
    }));
  }

  /** It has arrived. */
  async sent(tenant: string, { id, target }: AlertOutboxRow): Promise<void> {
    const counted = `UPDATE alert_notifiers SET sent_total = sent_total + 1, last_error = NULL
      WHERE tenant = ?1 AND id = ?2`;
    await this.#batch([
      this.#db.prepare(`DELETE FROM alert_outbox WHERE id = ?1`).bind(id),
      this.#db.prepare(counted).bind(tenant, target),
    ]);
  }

  /** It has not. @param dueMs when it is tried again; undefined: never */
  async failed(
    tenant: string,
    { id, target }: AlertOutboxRow,
    error: string,
    dueMs: number | undefined,
  ): Promise<void> {
    const told = `UPDATE alert_notifiers SET dropped_total = dropped_total + ?3, last_error = ?4
      WHERE tenant = ?1 AND id = ?2`;
    await this.#batch([
      dueMs === undefined
        ? this.#db.prepare(`DELETE FROM alert_outbox WHERE id = ?1`).bind(id)
        : this.#db
            .prepare(`UPDATE alert_outbox SET attempts = attempts + 1, due_ms = ?2 WHERE id = ?1`)
            .bind(id, dueMs),
      this.#db.prepare(told).bind(tenant, target, dueMs === undefined ? 1 : 0, error),
    ]);
  }

  /**
   * It has not, and nor would the others that wait for its target: those wait as long as it does.
   * @param isLast it is tried no more
   * @param givenUpMs those made before are tried no more, either
   * @returns how many were given up
   */
  async failedWithRest(
    tenant: string,
    { id, target }: AlertOutboxRow,
    error: string,
    { dueMs, isLast, givenUpMs }: { dueMs: number; isLast: boolean; givenUpMs: number },
  ): Promise<number> {
    const isGivenUp = `tenant = ?1 AND target = ?2 AND (created_ms < ?3 OR id = ?4)`;
    const givenUp = [tenant, target, givenUpMs, isLast ? id : null];
    const told = `UPDATE alert_notifiers SET last_error = ?5,
        dropped_total = dropped_total + (SELECT count(*) FROM alert_outbox WHERE ${isGivenUp})
      WHERE tenant = ?1 AND id = ?2`;
    const wait = `UPDATE alert_outbox SET attempts = attempts + (id = ?3), due_ms = max(due_ms, ?4)
      WHERE tenant = ?1 AND target = ?2 AND (due_ms < ?4 OR id = ?3)`;
    const [, dropped] = await this.#batch([
      this.#db.prepare(told).bind(...givenUp, error),
      this.#db.prepare(`DELETE FROM alert_outbox WHERE ${isGivenUp}`).bind(...givenUp),
      this.#db.prepare(wait).bind(tenant, target, id, dueMs),
    ]);
    return dropped?.meta.changes ?? 0;
  }

  /** Whose rules are to be judged, or whose notifications are to be sent. */
  async tenants(): Promise<string[]> {
    const sql = `SELECT tenant FROM alert_rules UNION SELECT tenant FROM alert_instances
      UNION SELECT tenant FROM alert_outbox ORDER BY tenant`;
    return (await this.#rows("reading whose alerts there are", sql)).map((row) => String(row.tenant));
  }

  /** Drops transitions and silences that were over before. */
  async prune(beforeMs: number, limit: number): Promise<void> {
    await this.#batch([
      this.#db
        .prepare(
          `DELETE FROM alert_transitions WHERE id IN (SELECT id FROM alert_transitions WHERE at_ms < ?1 LIMIT ?2)`,
        )
        .bind(beforeMs, limit),
      this.#db.prepare(`DELETE FROM alert_silences WHERE ends_ms < ?1`).bind(beforeMs),
    ]);
  }

  async #batch(statements: D1Statement[]): Promise<Awaited<ReturnType<D1["batch"]>>> {
    return await withDeadline("writing the outbox of alerts", () => this.#db.batch(statements));
  }

  async #rows(what: string, sql: string, ...values: D1Value[]): Promise<Record<string, D1Value>[]> {
    const { results } = await withDeadline(what, () =>
      this.#db
        .prepare(sql)
        .bind(...values)
        .all(),
    );
    return results;
  }
}
