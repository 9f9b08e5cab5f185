/** The SDKs as sites use them: each sends `count` events of 10 visitors and resolves with how many it believes delivered. */
import RudderAnalytics from "@rudderstack/rudder-sdk-node"
import { Analytics } from "@segment/analytics-node"
import { buildPageView, newTracker } from "@snowplow/node-tracker"
import { CloudEvent, emitterFor, httpTransport } from "cloudevents"
import { createRequire } from "node:module"
import { setImmediate } from "node:timers/promises"
import { PostHog } from "posthog-node"

export interface Sent {
  /** Events that the SDK said were delivered. */
  readonly delivered: number
}

/** `ready` waits while the collector is away, for senders that would try again at once. */
export type Sender = (url: string, count: number, ready: () => Promise<void>) => Promise<Sent>

const key = "none"

const visitors = 10
const visitorOf = (prefix: string, i: number) => `${prefix}-${i % visitors}`
const deadlineMs = 120_000

/** Resolves when `settled` many deliveries were confirmed. */
class Deliveries {
  #count = 0
  readonly #wanted: number
  readonly done: Promise<void>
  /** All were delivered, or it took too long. */
  isOver = false
  #resolve!: () => void
  #timer: NodeJS.Timeout | undefined

  constructor(wanted: number) {
    this.#wanted = wanted
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#timer = setTimeout(() => {
        this.isOver = true
        reject(new Error(`only ${this.#count} of ${wanted} were delivered in time`))
      }, deadlineMs)
    })
  }

  get count(): number {
    return this.#count
  }

  add(count: number): void {
    this.#count += count
    if (this.#count < this.#wanted) return
    clearTimeout(this.#timer)
    this.isOver = true
    this.#resolve()
  }
}

export const segmentSender: Sender = async (url, count) => {
  const analytics = new Analytics({ writeKey: key, host: url, flushAt: 25, flushInterval: 200 })
  const deliveries = new Deliveries(count)
  for (let i = 0; i < count; i++) {
    analytics.track({
      anonymousId: visitorOf("segment", i),
      event: "Product Viewed",
      properties: { product_id: `p${i % 7}` }
    }, (error) => {
      if (error === undefined) deliveries.add(1)
    })
  }
  await deliveries.done
  await analytics.closeAndFlush()
  return { delivered: deliveries.count }
}

export const rudderSender: Sender = async (url, count, ready) => {
  const analytics = new RudderAnalytics(key, {
    dataPlaneUrl: url,
    flushAt: 25,
    flushInterval: 100,
    // It gives up after three attempts within two seconds otherwise; a process may need longer to start.
    retryCount: 200,
    axiosRetryConfig: { retryDelay: () => 250 },
    logLevel: "none",
    errorHandler: () => {}
  })
  const deliveries = new Deliveries(count)
  for (let i = 0; i < count; i++) {
    analytics.track({
      userId: visitorOf("rudderstack", i),
      event: "Product Viewed",
      properties: { product_id: `p${i % 7}` }
    }, (error?: Error) => {
      if (error === undefined) deliveries.add(1)
    })
  }
  // It sends `flushAt` events at each flush, and leaves the next one to a timer.
  const pump = async (): Promise<void> => {
    while (!deliveries.isOver) {
      await Promise.resolve(analytics.flush()).catch(() => {})
      await ready()
      // Its answers come as tasks of the event loop; a flush of nothing ends before it turns.
      await setImmediate()
    }
  }
  await Promise.all([deliveries.done, pump()])
  return { delivered: deliveries.count }
}

export const postHogSender: Sender = async (url, count, ready) => {
  const client = new PostHog(key, {
    host: url,
    flushAt: 25,
    maxBatchSize: 25,
    maxQueueSize: count,
    fetchRetryDelay: 300,
    flushInterval: 0
  })
  client.on("error", () => {})
  for (let i = 0; i < count; i++) {
    client.capture({
      distinctId: visitorOf("posthog", i),
      event: "$pageview",
      properties: { $current_url: `https://shop.example/${i}` }
    })
  }
  // What could not be sent stays in its queue until somebody flushes; a flush that succeeds leaves nothing there.
  for (let isSent = false; !isSent; await setImmediate()) {
    isSent = await client.flush().then(() => true, () => false)
    await ready()
  }
  await client.shutdown()
  return { delivered: count }
}

export const snowplowSender: Sender = async (url, count, ready) => {
  const { hostname, port } = new URL(url)
  const deliveries = new Deliveries(count)
  const tracker = newTracker({ namespace: "test", appId: key }, {
    endpoint: `http://${hostname}`,
    port: Number(port),
    bufferSize: 25,
    maxPostBytes: 10_000,
    onRequestSuccess: (events) => deliveries.add(events.length),
    // What failed stays in its store until somebody flushes.
    onRequestFailure: () => void ready().then(() => tracker.flush())
  })
  for (let i = 0; i < count; i++) {
    tracker.setDomainUserId(visitorOf("snowplow", i))
    tracker.track(buildPageView({ pageUrl: `https://shop.example/${i}`, pageTitle: "A", referrer: "" }))
  }
  await tracker.flush()
  await deliveries.done
  return { delivered: deliveries.count }
}

/** The protocol's SDK leaves trying again to whoever uses it: the same event, until it is receipted. */
export const cloudEventsSender: Sender = async (url, count, ready) => {
  const emit = emitterFor(httpTransport(`${url}/cloudevents`))
  let delivered = 0
  const send = async (i: number): Promise<void> => {
    const event = new CloudEvent({
      id: String(i),
      source: "/test",
      type: "com.example.shop.add_to_cart",
      data: { visitor_id: visitorOf("cloudevents", i), item_id: `p${i % 7}`, price: "1.50" }
    })
    for (;;) {
      const answer = await (emit(event) as Promise<{ readonly body: string }>).catch(() => undefined)
      if (answer?.body.includes('"status":"accepted"')) break
      await ready()
    }
    delivered++
  }
  for (let i = 0; i < count; i += 20) {
    await Promise.all(Array.from({ length: Math.min(20, count - i) }, (_, at) => send(i + at)))
  }
  return { delivered }
}

/** Made for browsers: it gets the few things of one that it asks for. It never sends twice; what failed is lost by it. */
export const plausibleSender: Sender = async (url, count, ready) => {
  let delivered = 0
  const waiting: Array<Promise<void>> = []
  class XMLHttpRequest {
    readyState = 0
    onreadystatechange: () => void = () => {}
    #url = ""
    open(_method: string, url: string) {
      this.#url = url
    }
    setRequestHeader() {}
    send(body: string) {
      const answered = fetch(this.#url, { method: "POST", body, headers: { "content-type": "text/plain" } })
      waiting.push(answered.then((response) => {
        if (response.status === 202) delivered++
        this.readyState = 4
        this.onreadystatechange()
      }, () => {}))
    }
  }
  Object.assign(globalThis, {
    XMLHttpRequest,
    location: { href: "https://shop.example/", hostname: "shop.example", protocol: "https:" },
    document: { referrer: "" },
    window: { innerWidth: 1_440, localStorage: {} }
  })
  const { default: Plausible } = createRequire(import.meta.url)("plausible-tracker") as {
    default: (options: object) => { trackEvent: (name: string) => void }
  }
  const tracker = Plausible({ domain: "shop.example", apiHost: url })
  for (let i = 0; i < count; i += 20) {
    for (let at = i; at < Math.min(count, i + 20); at++) tracker.trackEvent("Signup")
    await Promise.all(waiting)
    await ready()
  }
  for (const name of ["XMLHttpRequest", "location", "document", "window"]) Reflect.deleteProperty(globalThis, name)
  return { delivered }
}
