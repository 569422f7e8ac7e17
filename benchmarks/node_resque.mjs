// node-resque's part of the benchmarks: `node node_resque.mjs drain|enqueue PORT JOBS` prints one line of JSON.
import { createRequire } from "node:module";
import { Queue, Worker } from "node-resque";
import { Ledger } from "./ledger.mjs";

const { Redis } = createRequire(import.meta.url)("ioredis");
const [what, port, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connection = { pkg: "ioredis", host: "127.0.0.1", port, database: 0, namespace: "resque" };

async function drain() {
  const ledger = new Ledger(count);
  const jobs = { noop: { perform: async (number) => ledger.done(number) } };
  // Fifty workers side by side: its MultiWorker starts them one by one, which would be measured too. They share one
  // connection, over which ioredis sends what they ask at the same time in one write: with fifty connections of their own they were no faster.
  const redis = new Redis({ host: "127.0.0.1", port, maxRetriesPerRequest: null });
  redis.setMaxListeners(0);
  const workers = Array.from(
    { length: 50 },
    (_, slot) => new Worker({ connection: { redis }, queues: ["bench"], name: `bench+${slot}`, timeout: 5000 }, jobs),
  );
  const failed = new Promise((_, reject) => {
    for (const worker of workers) {
      worker.on("error", reject);
      worker.on("failure", (_queue, _job, failure) => reject(failure));
    }
  });
  await Promise.all(workers.map((worker) => worker.connect()));
  await Promise.all(workers.map((worker) => worker.start()));
  await Promise.race([ledger.full, failed]);
  await Promise.all(workers.map((worker) => worker.end()));
  return ledger.seconds;
}

// So many callers, each of which enqueues one job after the other.
async function enqueue() {
  const queue = new Queue({ connection }, { noop: { perform: async () => {} } });
  await queue.connect();
  let next = 0;
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      while (next < count) await queue.enqueue("bench", "noop", [next++]);
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  const stored = await queue.length("bench");
  if (stored !== count) throw new Error(`${stored} jobs stored instead of ${count}`);
  await queue.end();
  return seconds;
}

console.log(JSON.stringify({ seconds: await { drain, enqueue }[what]() }));
process.exit(0);
