// Alert rules, silences and notifiers on D1: what people write. Each belongs to a tenant, and every statement here names
// the tenant: what is another's is not found. Rules and matchers are JSON, of which this file reads a rule's `revision`, by
// which of two changes of one revision one is written, and writes its `fault`.
import { withDeadline, type D1, type D1Value } from "./d1-database.ts";

export interface StoredAlertRule {
  tenant: string;
  id: string;
  rule: unknown;
  createdAt: string;
  createdBy: string;
  isDeleted: boolean;
}

export interface StoredSilence {
  id: string;
  matchers: unknown;
  startsMs: number;
  endsMs: number;
  author: string;
  comment: string;
  createdAt: string;
  createdBy: string;
}

export interface StoredNotifier {
  tenant: string;
  id: string;
  name: string;
  kind: string;
  /** May hold a secret: never shown, never logged. */
  url: string;
  createdAt: string;
  createdBy: string;
  sentTotal: number;
  droppedTotal: number;
  lastError: string | null;
}

type Row = Record<string, D1Value>;

const REVISION = "coalesce(alert_rules.rule ->> 'revision', 1)";

export class D1Alerts {
  readonly #db: D1;

  constructor(db: D1) {
    this.#db = db;
  }

  /** Those that are deleted and not yet gone among them. @param tenant undefined: of all. @throws StorageError, as all */
  async rules(tenant: string | undefined): Promise<StoredAlertRule[]> {
    const sql = `SELECT * FROM alert_rules WHERE (?1 IS NULL OR tenant = ?1) ORDER BY tenant, created_at, id`;
    return (await this.#run("reading alert rules", sql, tenant ?? null)).results.map(ruleOf);
  }

  /** @returns false where the tenant has `limit` already */
  async addRule(
    { tenant, id, rule, createdAt, createdBy }: StoredAlertRule,
    limit: number,
  ): Promise<boolean> {
    const sql = `INSERT INTO alert_rules (tenant, id, rule, created_at, created_by)
      SELECT ?1, ?2, ?3, ?4, ?5
      WHERE (SELECT count(*) FROM alert_rules WHERE tenant = ?1 AND is_deleted = 0) < ?6`;
    const values = [tenant, id, JSON.stringify(rule), createdAt, createdBy, limit];
    return (await this.#run("making an alert rule", sql, ...values)).meta.changes > 0;
  }

  /** @param from the revision that is changed. @returns false where the rule is at another by now, or gone */
  async changeRule({ tenant, id, rule }: StoredAlertRule, from: number): Promise<boolean> {
    const sql = `UPDATE alert_rules SET rule = ?3
      WHERE tenant = ?1 AND id = ?2 AND is_deleted = 0 AND ${REVISION} = ?4`;
    const text = JSON.stringify(rule);
    return (await this.#run("changing an alert rule", sql, tenant, id, text, from)).meta.changes > 0;
  }

  /** A rule that is there without a row. @returns as {@link changeRule} */
  async changeDefaultRule(
    { tenant, id, rule, createdAt, createdBy }: StoredAlertRule,
    from: number,
  ): Promise<boolean> {
    const sql = `INSERT INTO alert_rules (tenant, id, rule, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5)
      ON CONFLICT (tenant, id) DO UPDATE SET rule = excluded.rule WHERE is_deleted = 0 AND ${REVISION} = ?6`;
    const values = [tenant, id, JSON.stringify(rule), createdAt, createdBy, from];
    return (await this.#run("changing an alert rule", sql, ...values)).meta.changes > 0;
  }

  /** Why a rule cannot be judged; null: it can. Of a revision that is no more nothing is told. */
  async noteFault(tenant: string, id: string, revision: number, fault: object | null): Promise<void> {
    const sql = `UPDATE alert_rules
      SET rule = CASE WHEN ?4 IS NULL THEN json_remove(rule, '$.fault') ELSE json_set(rule, '$.fault', json(?4)) END
      WHERE tenant = ?1 AND id = ?2 AND is_deleted = 0 AND ${REVISION} = ?3`;
    const text = fault && JSON.stringify(fault);
    await this.#run("noting the fault of an alert rule", sql, tenant, id, revision, text);
  }

  /** It stays until its alerts are resolved. @returns false where there is none */
  async deleteRule(tenant: string, id: string): Promise<boolean> {
    const sql = `UPDATE alert_rules SET is_deleted = 1 WHERE tenant = ?1 AND id = ?2 AND is_deleted = 0`;
    return (await this.#run("deleting an alert rule", sql, tenant, id)).meta.changes > 0;
  }

  /** A rule that is there without a row, and shall be no more. @returns false where that is so already */
  async deleteDefaultRule(
    tenant: string,
    id: string,
    deletedAt: string,
    deletedBy: string,
  ): Promise<boolean> {
    const sql = `INSERT INTO alert_rules (tenant, id, rule, created_at, created_by, is_deleted)
      VALUES (?1, ?2, '{}', ?3, ?4, 1)
      ON CONFLICT (tenant, id) DO UPDATE SET rule = excluded.rule, is_deleted = 1 WHERE is_deleted = 0`;
    const values = [tenant, id, deletedAt, deletedBy];
    return (await this.#run("deleting an alert rule", sql, ...values)).meta.changes > 0;
  }

  /** Newest first. @param endsAfterMs those that are over by then are left out */
  async silences(tenant: string, endsAfterMs: number, limit: number): Promise<StoredSilence[]> {
    const sql = `SELECT * FROM alert_silences WHERE tenant = ?1 AND ends_ms > ?2
      ORDER BY created_at DESC, id DESC LIMIT ?3`;
    const { results } = await this.#run("reading silences", sql, tenant, endsAfterMs, limit);
    return results.map(silenceOf);
  }

  /** @returns false where the tenant has `limit` that are not over */
  async addSilence(tenant: string, silence: StoredSilence, nowMs: number, limit: number): Promise<boolean> {
    const { id, matchers, startsMs, endsMs, author, comment, createdAt, createdBy } = silence;
    const sql = `INSERT INTO alert_silences (tenant, id, matchers, starts_ms, ends_ms, author, comment, created_at, created_by)
      SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9
      WHERE (SELECT count(*) FROM alert_silences WHERE tenant = ?1 AND ends_ms > ?10) < ?11`;
    const text = JSON.stringify(matchers);
    const values = [tenant, id, text, startsMs, endsMs, author, comment, createdAt, createdBy, nowMs, limit];
    return (await this.#run("making a silence", sql, ...values)).meta.changes > 0;
  }

  /** Ends it now, or before it began. @returns as it is now; undefined where there is none */
  async endSilence(tenant: string, id: string, nowMs: number): Promise<StoredSilence | undefined> {
    const sql = `UPDATE alert_silences SET ends_ms = min(ends_ms, ?3) WHERE tenant = ?1 AND id = ?2 RETURNING *`;
    const [row] = (await this.#run("ending a silence", sql, tenant, id, nowMs)).results;
    return row && silenceOf(row);
  }

  async notifiers(tenant: string): Promise<StoredNotifier[]> {
    const sql = `SELECT * FROM alert_notifiers WHERE tenant = ?1 ORDER BY created_at, id`;
    return (await this.#run("reading notifiers", sql, tenant)).results.map(notifierOf);
  }

  /** @returns false where the tenant has `limit` already */
  async addNotifier(
    notifier: Omit<StoredNotifier, "sentTotal" | "droppedTotal" | "lastError">,
    limit: number,
  ): Promise<boolean> {
    const { tenant, id, name, kind, url, createdAt, createdBy } = notifier;
    const sql = `INSERT INTO alert_notifiers (tenant, id, name, kind, url, created_at, created_by)
      SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE (SELECT count(*) FROM alert_notifiers WHERE tenant = ?1) < ?8`;
    const values = [tenant, id, name, kind, url, createdAt, createdBy, limit];
    return (await this.#run("making a notifier", sql, ...values)).meta.changes > 0;
  }

  /** With what is yet to be sent to it. @returns as it was; undefined where there is none */
  async deleteNotifier(tenant: string, id: string): Promise<StoredNotifier | undefined> {
    const sql = `DELETE FROM alert_notifiers WHERE tenant = ?1 AND id = ?2 RETURNING *`;
    const [row] = (await this.#run("deleting a notifier", sql, tenant, id)).results;
    await this.#run(
      "deleting a notifier",
      `DELETE FROM alert_outbox WHERE tenant = ?1 AND target = ?2`,
      tenant,
      id,
    );
    return row && notifierOf(row);
  }

  async #run(what: string, sql: string, ...values: D1Value[]) {
    return await withDeadline(what, () =>
      this.#db
        .prepare(sql)
        .bind(...values)
        .all(),
    );
  }
}

function ruleOf(row: Row): StoredAlertRule {
  return {
    tenant: String(row.tenant),
    id: String(row.id),
    rule: JSON.parse(String(row.rule)) as unknown,
    createdAt: String(row.created_at),
    createdBy: String(row.created_by),
    isDeleted: row.is_deleted === 1,
  };
}

function silenceOf(row: Row): StoredSilence {
  return {
    id: String(row.id),
    matchers: JSON.parse(String(row.matchers)) as unknown,
    startsMs: Number(row.starts_ms),
    endsMs: Number(row.ends_ms),
    author: String(row.author),
    comment: String(row.comment),
    createdAt: String(row.created_at),
    createdBy: String(row.created_by),
  };
}

function notifierOf(row: Row): StoredNotifier {
  return {
    tenant: String(row.tenant),
    id: String(row.id),
    name: String(row.name),
    kind: String(row.kind),
    url: String(row.url),
    createdAt: String(row.created_at),
    createdBy: String(row.created_by),
    sentTotal: Number(row.sent_total),
    droppedTotal: Number(row.dropped_total),
    lastError: row.last_error === null || row.last_error === undefined ? null : String(row.last_error),
  };
}
