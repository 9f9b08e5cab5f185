/**
 * The user agents of crawlers, as the library `crawler-user-agents` knows them: regular expressions without look-around, which
 * ClickHouse matches by the thousand at once.
 */
import crawlers from "crawler-user-agents"
import { createHash } from "node:crypto"

export interface CrawlerList {
  /** Tells one list from another. */
  readonly source: string
  readonly patterns: ReadonlyArray<string>
}

const patterns = crawlers.map(({ pattern }) => pattern)

/** The list of the installed library. */
export const crawlerList: CrawlerList = {
  source: `crawler-user-agents ${createHash("sha256").update(JSON.stringify(patterns)).digest("hex").slice(0, 16)}`,
  patterns
}
