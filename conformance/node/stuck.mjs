// A worker of node-resque that never ends its job, or a queue that mends: a line in is what to do, a line out what came of
// it. The port of Redis is the first argument.
import { createInterface } from "node:readline";
import resque from "node-resque";

const { Queue, Worker } = resque;
const connection = { host: "127.0.0.1", port: Number(process.argv[2]), namespace: "resque" };
const jobs = { SlowJob: { perform: () => new Promise(() => {}) } };
const queue = new Queue({ connection }, jobs);
await queue.connect();
let worker;

const acts = {
  // Works a job for ever, and says under which name.
  async work() {
    await queue.enqueue("slow", "SlowJob", ["x", { a: 1 }]);
    worker = new Worker({ connection, queues: ["slow"], timeout: 50 }, jobs);
    await worker.connect();
    const begun = new Promise((resolve) => worker.on("job", resolve));
    worker.start();
    await begun;
    return worker.name;
  },
  // Waits until the worker has given two signs of life with different times.
  async sign() {
    const times = new Set();
    return new Promise((resolve) => {
      worker.on("ping", (time) => {
        times.add(time);
        if (times.size > 2) resolve(true);
      });
    });
  },
  workers: () => queue.workers(),
  failed: () => queue.failed(0, -1),
  async retryStuck() {
    await queue.retryStuckJobs();
    return queue.queued("slow", 0, -1);
  },
  async forceClean(name) {
    return (await queue.forceCleanWorker(name)) ?? null;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [act, ...given] = JSON.parse(line);
  process.stdout.write(JSON.stringify((await acts[act](...given)) ?? null) + "\n");
}
process.exit(0);
