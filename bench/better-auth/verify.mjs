// npm's better-auth with its API-key plugin, as its documentation sets them up with better-sqlite3, in one process.
//
// The rows are copies of one that the plugin wrote, with other ids and keys. The rate limit is off, because by default it
// refuses the eleventh use in a day. A verification then reads the key's row by the SHA-256 of the key, and writes
// `updatedAt` into it, for which it waits. The log is a write-ahead log with `synchronous=NORMAL`, so no write waits for the
// disk.
//
// Arguments: the database's file, and the number of keys. Prints one line of JSON, in nanoseconds.
import { createHash } from 'node:crypto';
import { apiKey } from '@better-auth/api-key';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import Database from 'better-sqlite3';

const [file, count] = [process.argv[2], Number(process.argv[3])];
const [WARM_UP, VERIFIED] = [500, 5_000];

const database = new Database(file);
database.pragma('journal_mode = WAL');

const auth = betterAuth({
  database,
  baseURL: 'http://localhost',
  secret: 'a-secret-of-the-benchmark-0123456789',
  logger: { disabled: true },
  telemetry: { enabled: false },
  plugins: [apiKey({ rateLimit: { enabled: false } })],
});

// Keys follow from their number, with the length of the plugin's own.
function key(number) {
  return createHash('sha256').update(`key ${number}`).digest('hex');
}

function digest(text) {
  return createHash('sha256').update(text).digest('base64url');
}

async function fill() {
  await (await getMigrations(auth.options)).runMigrations();
  const { internalAdapter } = await auth.$context;
  const user = await internalAdapter.createUser({ email: 'bench@example.com', name: 'bench' });
  const { id } = await auth.api.createApiKey({ body: { userId: user.id, name: 'template' } });
  const template = database.prepare('SELECT * FROM apikey WHERE id = ?').get(id);
  const columns = Object.keys(template);
  const places = columns.map((column) => `@${column}`).join(', ');
  const insert = database.prepare(`INSERT INTO apikey (${columns.join(', ')}) VALUES (${places})`);
  const rows = Array.from({ length: count }, (_, number) => [digest(key(number)), number]);
  // In the order of their digests, or else filling takes as long as everything else.
  rows.sort(([one], [other]) => (one < other ? -1 : 1));
  database.transaction(() => {
    rows.forEach(([hash, number], nth) => {
      insert.run({ ...template, id: `key${String(nth).padStart(12, '0')}`, key: hash, start: key(number).slice(0, 6) });
    });
  })();
}

async function verify(numbers, isGood) {
  const times = [];
  for (const number of numbers) {
    const text = key(number);
    const start = process.hrtime.bigint();
    const { valid } = await auth.api.verifyApiKey({ body: { key: text } });
    times.push(Number(process.hrtime.bigint() - start));
    if (valid !== isGood) {
      throw new Error(`key ${number} was ${valid ? 'accepted' : 'refused'}`);
    }
  }
  times.sort((one, other) => one - other);
  const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  return { p50_ns: at(0.5), p99_ns: at(0.99) };
}

function atRandom(length) {
  return Array.from({ length }, () => Math.floor(Math.random() * count));
}

const start = performance.now();
await fill();
const seconds = (performance.now() - start) / 1000;
await verify(atRandom(WARM_UP), true);
console.log(JSON.stringify({
  seconds,
  hot: await verify(Array(VERIFIED).fill(0), true),
  random: await verify(atRandom(VERIFIED), true),
  unknown: await verify(Array.from({ length: VERIFIED }, (_, nth) => count + nth), false),
}));
database.close();
