// The demo's database held by another process, as a backup or somebody at the shell may hold it: what must be written
// is answered 503 until it is let go.
//
// Python's SQLite holds it, since Node.js has none of its own before version 22.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { demo } from "../harness/checks.mjs";

/** Holds it until standard input ends, which it also does when this program dies. */
const HOLD = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
database.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
database.execute("ROLLBACK")
`;

/** Runs `body` while nothing can be written. */
export async function whileLocked(body) {
  const stdio = ["pipe", "pipe", "inherit"];
  const holder = spawn("python3", ["-c", HOLD, join(demo.data, "doorward.db")], { stdio });
  const ended = once(holder, "exit");
  ended.catch(() => {}); // a program that can't be started is reported by the race below
  try {
    const failed = ended.then(([code]) => Promise.reject(new Error(`the database could not be held: exit code ${code}`)));
    await Promise.race([once(holder.stdout, "data"), failed]);
    failed.catch(() => {}); // its end later on is wanted
    return await body();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
