// BullMQ's part of the benchmarks: `node bullmq.mjs drain|enqueue_many PORT JOBS` prints one line of JSON.
import { Queue, Worker } from "bullmq";
import { Ledger } from "./ledger.mjs";

const [what, port, count] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const connection = { host: "127.0.0.1", port, maxRetriesPerRequest: null };
// It keeps every finished job unless told so; taskhero and node-resque keep none.
const defaultJobOptions = { removeOnComplete: true };

async function filled(queue) {
  const jobs = Array.from({ length: count }, (_, number) => ({ name: "noop", data: { number } }));
  const begun = performance.now();
  await queue.addBulk(jobs);
  const seconds = (performance.now() - begun) / 1000;
  const stored = await queue.getWaitingCount();
  if (stored !== count) throw new Error(`${stored} jobs stored instead of ${count}`);
  return seconds;
}

async function enqueue_many() {
  const queue = new Queue("bench", { connection, defaultJobOptions });
  await queue.waitUntilReady();
  return filled(queue);
}

async function drain() {
  const queue = new Queue("bench", { connection, defaultJobOptions });
  await filled(queue);
  const ledger = new Ledger(count);
  const worker = new Worker("bench", async (job) => ledger.done(job.data.number), { connection, concurrency: 50 });
  const failed = new Promise((_, reject) => {
    worker.on("error", reject);
    worker.on("failed", (_job, failure) => reject(failure));
  });
  await Promise.race([ledger.full, failed]);
  await worker.close();
  const counts = await queue.getJobCounts("waiting", "active", "delayed", "failed");
  const left = Object.values(counts).reduce((sum, number) => sum + number, 0);
  if (left) throw new Error(`jobs are left: ${JSON.stringify(counts)}`);
  return ledger.seconds;
}

console.log(JSON.stringify({ seconds: await { drain, enqueue_many }[what]() }));
process.exit(0);
