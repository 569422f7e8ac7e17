// Says under which names the plugins of node-resque keep a job: a line in is the text of a job as JSON, a line out the
// names in base64.
import { createInterface } from "node:readline";
import resque from "node-resque";

const { Connection, Plugins } = resque;
const connection = new Connection({ namespace: "resque" });
const worker = { connection, queueObject: { connection } };

// What ioredis sends is UTF-8.
const bytes = (text) => Buffer.from(text).toString("base64");

const plugin = (kind, job, options = {}) =>
  new Plugins[kind](worker, job.class, job.queue, {}, job.args, options);

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(JSON.parse(line));
  const retry = plugin("Retry", job);
  const names = {
    lock: plugin("QueueLock", job).key(),
    workerslock: plugin("JobLock", job).key(),
    counter: retry.retryKey(),
    trace: retry.failureKey(),
    chosen_lock: plugin("QueueLock", job, { key: "lock:chosen" }).key(),
    chosen_workerslock: plugin("JobLock", job, { key() { return `workerslock:${this.func}`; } }).key(),
  };
  for (const name in names) names[name] = bytes(names[name]);
  process.stdout.write(JSON.stringify(names) + "\n");
}
