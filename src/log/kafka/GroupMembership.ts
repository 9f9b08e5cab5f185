/**
 * Membership in a consumer group of kafkajs, for spreading partitions and showing lag. It fetches nothing: all partitions stay paused,
 * so no batch can hold up a heartbeat. kafkajs 2.2.4 may crash for good, or go on without its coordinator: who hears no heartbeat
 * for a while makes a new consumer, which joins as a new member.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import kafkajs from "kafkajs"
import type { Admin, Consumer, Kafka } from "kafkajs"
import type { Offset, Partition } from "../../domain/Identifiers.ts"
import type { Assignment, PartitionGroup } from "../PartitionGroup.ts"
import { MemberNotes, removeMembers } from "./DeadMembers.ts"
import { clientConfig, retry } from "./KafkaSettings.ts"
import type { KafkaAddress } from "./KafkaSettings.ts"
import { Patience } from "./Patience.ts"

export interface GroupOptions extends KafkaAddress {
  readonly topic: string
  readonly groupId: string
  /** Folder in which members write down who they are, so that those that were killed need not be waited for. */
  readonly notes?: string | undefined
  readonly tell?: ((trouble: string) => void) | undefined
}

/** The shortest that brokers take by default: so long nobody has the partitions of a member that is frozen. */
const sessionTimeoutMs = 6_000
/** Without a heartbeat for so long the consumer is given up, ms: the group has moved on by then. */
const silenceMaxMs = 20_000
const watchEveryMs = 1_000
/** Who has not looked for so long was frozen, ms. */
const frozenMs = 5_000
/** Between two commits, ms. */
const commitEveryMs = 2_000
/** So long after it began to join, a member takes dead ones out, ms: then the group is never empty, and starts no new wait for members. */
const evictAfterMs = 300
/** A consumer that is left behind is waited for so long at the end, ms. */
const leaveWithinMs = 5_000

/** A member of the group, until the scope ends: then it leaves, and the others need not wait for its session to end. */
export const make = (options: GroupOptions): Effect.Effect<PartitionGroup, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new GroupMembership(options)),
      (member) => Effect.promise(() => member.leave())
    ),
    (member): PartitionGroup => ({
      after: (term) =>
        Effect.callback((resume) => {
          const drop = member.onTerm(term, (assignment) => resume(Effect.succeed(assignment)))
          return Effect.sync(drop)
        }),
      advise: (offsets) => member.advise(offsets)
    })
  )

/** How many members the group has now. */
export const countMembers = (options: GroupOptions): Promise<number> =>
  withAdmin(options, (admin) => membersOf(admin, options))

/** Who is in the group now, and the next offsets that it has committed. */
export const groupState = (
  options: GroupOptions
): Promise<{ readonly members: number; readonly committed: ReadonlyMap<Partition, Offset> }> =>
  withAdmin(options, async (admin) => {
    const members = await membersOf(admin, options)
    const [topic] = await admin.fetchOffsets({ groupId: options.groupId, topics: [options.topic] })
    // -1: nothing was committed.
    const committed = (topic?.partitions ?? []).filter(({ offset }) => Number(offset) >= 0)
    return {
      members,
      committed: new Map(committed.map(({ offset, partition }) => [partition as Partition, Number(offset) as Offset]))
    }
  })

const membersOf = async (admin: Admin, { groupId }: GroupOptions): Promise<number> => {
  const { groups } = await admin.describeGroups([groupId])
  return groups.reduce((sum, { members }) => sum + members.length, 0)
}

const withAdmin = async <A>(options: GroupOptions, ask: (admin: Admin) => Promise<A>): Promise<A> => {
  const admin = new kafkajs.Kafka(clientConfig(options)).admin()
  await admin.connect()
  try {
    return await ask(admin)
  } finally {
    await admin.disconnect()
  }
}

class GroupMembership {
  readonly #options: GroupOptions
  readonly #kafka: Kafka
  readonly #patience: Patience
  readonly #tell: (trouble: string) => void
  readonly #notes: MemberNotes | undefined
  readonly #advice = new Map<Partition, Offset>()
  readonly #waiting = new Set<() => void>()
  readonly #watch: NodeJS.Timeout
  #assignment: Assignment | undefined
  #memberId = ""
  #consumer: Consumer | undefined
  #heardAt = performance.now()
  #lookedAt = performance.now()
  #committedAt = 0
  #left = false

  constructor(options: GroupOptions) {
    this.#options = options
    this.#kafka = new kafkajs.Kafka(clientConfig(options))
    this.#tell = options.tell ?? ((trouble) => void process.stderr.write(`consumer group: ${trouble}\n`))
    this.#patience = new Patience(this.#tell)
    this.#notes = options.notes === undefined ? undefined : new MemberNotes(options.notes)
    this.#watch = setInterval(() => this.#look(), watchEveryMs)
    void this.#evictDead().then((evict) => {
      void this.#join()
      evict()
    })
  }

  /** Finds members whose processes were killed; the answer takes them out once we have begun to join. */
  async #evictDead(): Promise<() => void> {
    const dead = await this.#notes?.takeDead().catch(() => []) ?? []
    if (dead.length === 0) return () => undefined
    const { groupId } = this.#options
    return () =>
      void setTimeout(() => {
        // If not, their sessions end by themselves.
        void removeMembers(clientConfig(this.#options), groupId, dead).catch(() => undefined)
      }, evictAfterMs).unref()
  }

  /** Calls back once, with the newest assignment after the term. */
  onTerm(term: number, done: (assignment: Assignment) => void): () => void {
    const look = (): void => {
      if (this.#assignment === undefined || this.#assignment.term <= term) return
      this.#waiting.delete(look)
      done(this.#assignment)
    }
    this.#waiting.add(look)
    look()
    return () => this.#waiting.delete(look)
  }

  advise(offsets: ReadonlyMap<Partition, Offset>): void {
    for (const [partition, offset] of offsets) this.#advice.set(partition, offset)
  }

  async leave(): Promise<void> {
    this.#left = true
    clearInterval(this.#watch)
    await this.#notes?.remove().catch(() => undefined)
    const consumer = this.#consumer
    if (consumer === undefined) return
    const leaving = this.#commit(consumer).then(() => consumer.disconnect()).catch(() => undefined)
    await Promise.race([leaving, new Promise((resolve) => setTimeout(resolve, leaveWithinMs).unref())])
  }

  async #join(): Promise<void> {
    const { groupId, topic } = this.#options
    while (!this.#left) {
      const consumer = this.#kafka.consumer({
        groupId,
        sessionTimeout: sessionTimeoutMs,
        heartbeatInterval: 1_000,
        rebalanceTimeout: 10_000,
        metadataMaxAge: 3_000,
        // How long an idle round takes, and so a stop.
        maxWaitTimeInMs: 250,
        allowAutoTopicCreation: false,
        retry: { ...retry, retries: 30, restartOnFailure: async () => true }
      })
      this.#consumer = consumer
      this.#listen(consumer)
      this.#heardAt = performance.now()
      try {
        await consumer.connect()
        await consumer.subscribe({ topics: [topic], fromBeginning: true })
        await consumer.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch: async () => undefined })
        return
      } catch (error) {
        if (this.#consumer !== consumer) return
        this.#abandon(consumer)
        await this.#patience.wait(`joining the consumer group ${groupId}`, error)
      }
    }
  }

  #listen(consumer: Consumer): void {
    const { topic } = this.#options
    const isCurrent = () => this.#consumer === consumer && !this.#left
    consumer.on("consumer.group_join", ({ payload }) => {
      if (!isCurrent()) return
      // Before the first fetch, and again for each new generation: a restarted consumer has forgotten it.
      consumer.pause([{ topic }])
      this.#heardAt = performance.now()
      this.#patience.reset()
      this.#assign(payload.memberId, (payload.memberAssignment[topic] ?? []).map((each) => each as Partition))
    })
    consumer.on("consumer.heartbeat", () => {
      if (isCurrent()) this.#heardAt = performance.now()
    })
    consumer.on("consumer.crash", ({ payload }) => {
      if (!isCurrent() || payload.restart) return
      this.#renew(`the member stopped: ${payload.error.message}`)
    })
  }

  /** A member that has another id was out of the group in between: its partitions may have been somebody else's. */
  #assign(memberId: string, assigned: ReadonlyArray<Partition>): void {
    const partitions = [...assigned].sort((a, b) => a - b)
    const before = this.#assignment
    const isSame = before !== undefined && memberId === this.#memberId &&
      partitions.join() === before.partitions.join()
    if (isSame) return
    if (memberId !== this.#memberId) void this.#notes?.write(memberId).catch(() => undefined)
    this.#memberId = memberId
    this.#assignment = { term: (before?.term ?? 0) + 1, partitions }
    for (const partition of this.#advice.keys()) if (!partitions.includes(partition)) this.#advice.delete(partition)
    for (const look of this.#waiting) look()
  }

  #look(): void {
    const now = performance.now()
    // Frozen ourselves, we could hear nothing: kafkajs finds out at its next heartbeat, and joins again. A second consumer beside it
    // would have to wait for the first one's session to end.
    if (now - this.#lookedAt > frozenMs) this.#heardAt = now
    this.#lookedAt = now
    if (now - this.#heardAt > silenceMaxMs) return this.#renew("no heartbeat was heard")
    const consumer = this.#consumer
    if (consumer === undefined || now - this.#committedAt < commitEveryMs) return
    this.#committedAt = now
    void this.#commit(consumer)
  }

  #renew(why: string): void {
    this.#tell(`${why}; joining ${this.#options.groupId} anew`)
    if (this.#consumer !== undefined) this.#abandon(this.#consumer)
    void this.#join()
  }

  #abandon(consumer: Consumer): void {
    if (this.#consumer === consumer) this.#consumer = undefined
    void consumer.disconnect().catch(() => undefined)
  }

  /** A commit that fails is no error: the next one says more. */
  async #commit(consumer: Consumer): Promise<void> {
    if (this.#advice.size === 0) return
    const offsets = [...this.#advice].map(([partition, offset]) => ({
      topic: this.#options.topic,
      partition,
      offset: String(offset)
    }))
    this.#advice.clear()
    await consumer.commitOffsets(offsets).catch(() => {
      for (const { offset, partition } of offsets) {
        const key = partition as Partition
        if (!this.#advice.has(key)) this.#advice.set(key, Number(offset) as Offset)
      }
    })
  }
}
