// Loses races, one after the other, and says what Node.js showed of each.
//
// Orders come on standard input, a line each: `STEP KEY`. The program reads KEY and prepares the
// step, says `ready`, waits for the line `go`, does it, says what each call came to
// (`CALL: RESULT`), and ends with `done`.

import fs from 'node:fs';
import { open, writeFile } from 'node:fs/promises';
import os from 'node:os';
import readline from 'node:readline';
import { pipeline } from 'node:stream/promises';

const orders = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const TEXT = 'from node';

// Without a buffer, so that no line is lost and none comes late.
const say = (line) => fs.writeSync(1, `${line}\n`);

// `code` is what programs look at. libuv has none for ESTALE: then it is `Unknown system error -116`.
function told(error) {
  const named = Object.entries(os.constants.errno).find(([, number]) => number === -error.errno);
  return `${error.constructor.name} ${/^E[A-Z]/.test(error.code) ? error.code : named[0]}`;
}

async function call(name, action) {
  try {
    await action();
    say(`${name}: ok`);
  } catch (error) {
    say(`${name}: ${told(error)}`);
  }
}

async function race() {
  say('ready');
  const { value } = await orders.next();
  if (value !== 'go') throw new Error(`not an order: ${value}`);
}

const steps = {
  async fsync(key) {
    const file = await open(key, 'r+');
    await file.readFile();
    await file.truncate(0);
    await file.write(TEXT, 0);
    await race();
    await call('fsync', () => file.sync());
    await call('write', () => file.write(', and more', TEXT.length));
    await call('close', () => file.close());
  },
  async close(key) {
    fs.readFileSync(key);
    const fd = fs.openSync(key, 'w');
    fs.writeSync(fd, TEXT);
    await race();
    await call('close', () => fs.closeSync(fd));
  },
  async rename(key) {
    fs.readFileSync(key);
    fs.writeFileSync(`${key}.new`, TEXT);
    await race();
    await call('rename', () => fs.renameSync(`${key}.new`, key));
  },
  async open(key) {
    fs.readFileSync(key);
    await race();
    await call('open', () => fs.openSync(key, 'w'));
  },
  async whole(key) {
    await race();
    await call('writeFile', () => writeFile(key, TEXT));
  },
  // A stream says that it has finished before it closes its file, and that is where the error is.
  async stream(key) {
    await race();
    await new Promise((over) => {
      const stream = fs.createWriteStream(key);
      stream.on('finish', () => say('finish: ok'));
      stream.on('error', (error) => say(`error: ${told(error)}`));
      stream.on('close', over);
      stream.end(TEXT);
    });
  },
  async pipeline(key) {
    await race();
    await call('pipeline', () => pipeline([TEXT], fs.createWriteStream(key)));
  },
};

for (;;) {
  const { value, done } = await orders.next();
  if (done) break;
  const [step, key] = value.split(' ');
  await steps[step](key);
  say('done');
}
