// Notes each job that is done: each number once, and the time from the first to the last.
export class Ledger {
  constructor(count) {
    this.left = count;
    this.seen = new Uint8Array(count);
    this.full = new Promise((resolve, reject) => ([this.resolve, this.reject] = [resolve, reject]));
  }

  done(number) {
    if (this.begun === undefined) this.begun = performance.now();
    if (this.seen[number] !== 0) this.reject(new Error(`job ${number} was done twice, or there is none`));
    this.seen[number] = 1;
    if (--this.left === 0) {
      this.seconds = (performance.now() - this.begun) / 1000;
      this.resolve();
    }
  }
}
