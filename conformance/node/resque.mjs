// Does with the real node-resque what a test asks: `node resque.mjs PORT`. A line in is a question, an array in JSON that
// begins with a verb; a line out is its answer, {"answer": ...} or {"refused": message}.
import { createInterface } from "node:readline";
import { EventEmitter, once } from "node:events";
import resque from "node-resque";

const { MultiWorker, Queue, Scheduler, Worker } = resque;
const port = Number(process.argv[2]);
// Each part has a connection of its own, as in programs that follow node-resque's README.
const connection = () => ({ pkg: "ioredis", host: "127.0.0.1", port, database: 0, namespace: "resque" });

const news = new EventEmitter();
const performed = []; // [name, args], in the order in which they were begun
const told = []; // [event, name, args or message]
const running = {};
const jobs = {};
let queue;
let release;
let released;

const tell = (list, entry) => {
  list.push(entry);
  news.emit("news");
};

async function until(list, count, milliseconds = 30000) {
  const signal = AbortSignal.timeout(milliseconds);
  while (list.length < count) {
    await once(news, "news", { signal }).catch(() => {
      throw new Error(`${list.length} of ${count} within ${milliseconds} ms: ${JSON.stringify(told.slice(-5))}`);
    });
  }
  return list;
}

const deeds = {
  note: async () => "done",
  fail: async () => {
    throw new TypeError("what a job says");
  },
  hold: async () => {
    await released;
    return "done";
  },
};

// {name: {does, plugins, pluginOptions}}
function declare(given) {
  for (const [name, { does = "note", plugins = [], pluginOptions = {} }] of Object.entries(given)) {
    const perform = async (...args) => {
      tell(performed, [name, args]);
      return deeds[does]();
    };
    jobs[name] = { perform, plugins, pluginOptions };
  }
  released = new Promise((resolve) => (release = resolve));
}

function watch(part) {
  const multi = part instanceof MultiWorker ? 1 : 0; // its events begin with the worker's number
  part.on("error", (...said) => tell(told, ["error", "", String(said[multi])]));
  for (const event of ["success", "failure", "reEnqueue"]) {
    part.on(event, (...said) => tell(told, [event, said[multi + 1].class, said[multi + 1].args]));
  }
  part.on("leader", () => tell(told, ["leader", "", null]));
  part.on("transferredJob", (_timestamp, job) => tell(told, ["transferredJob", job.class, job.args]));
  part.on("cleanStuckWorker", (name) => tell(told, ["cleanStuckWorker", name, null]));
  return part;
}

const kinds = {
  worker: (options) => new Worker({ connection: connection(), timeout: 20, ...options }, jobs),
  multi: (options) =>
    new MultiWorker(
      { connection: connection(), timeout: 20, checkTimeout: 20, maxEventLoopDelay: 1000, ...options },
      jobs,
    ),
  scheduler: (options) => new Scheduler({ connection: connection(), timeout: 20, ...options }, jobs),
};

const verbs = {
  declare,
  release: () => release(),
  // One after the other; each is [verb of the queue, what it takes].
  calls: async (calls) => {
    const answers = [];
    for (const [verb, ...given] of calls) answers.push((await queue[verb](...given)) ?? null);
    return answers;
  },
  // A hundred at a time, in no order.
  callsAtOnce: async (calls) => {
    while (calls.length) await Promise.all(calls.splice(0, 100).map(([verb, ...given]) => queue[verb](...given)));
  },
  // What JavaScript makes of texts: read, and written anew.
  rewritten: (texts) => texts.map((text) => JSON.stringify(JSON.parse(text))),
  call: async (verb, ...given) => queue[verb](...given),
  start: async (name, kind, options = {}) => {
    const part = (running[name] = watch(kinds[kind](options)));
    if (part.connect) await part.connect();
    await part.start();
    return part.name;
  },
  stop: async (name) => {
    await running[name].end();
    delete running[name];
  },
  performed: (count) => until(performed, count),
  told: async (event, count) => {
    const ofThis = () => told.filter(([name]) => name === event);
    for (let seen = told.length; ofThis().length < count; seen++) await until(told, seen + 1);
    return ofThis();
  },
  forget: () => {
    performed.length = told.length = 0;
  },
};

queue = new Queue({ connection: connection() }, jobs);
queue.on("error", (error) => tell(told, ["error", "", String(error)]));
await queue.connect();
for await (const line of createInterface({ input: process.stdin })) {
  const [verb, ...given] = JSON.parse(line);
  let answer;
  try {
    answer = { answer: (await verbs[verb](...given)) ?? null };
  } catch (error) {
    answer = { refused: String(error.message) };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
process.exit(0);
