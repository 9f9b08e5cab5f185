/** Exit code 0: the role that listens on this port of the loopback is ready. For the healthchecks of compose.yaml. */
const answered = await fetch(`http://127.0.0.1:${process.argv[2]}/readyz`).catch(() => undefined)
process.exit(answered?.ok === true ? 0 : 1)
