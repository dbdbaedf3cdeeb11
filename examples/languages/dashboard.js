// Reads the property `reading` of HOST's Thing five times a second. StatsD gets how long each request took and
// how old the reading was, in milliseconds.
//
//     node dashboard.js HOST

const { setTimeout: sleep } = require("node:timers/promises");
const statsd = require("node:dgram").createSocket("udp4");

const host = process.argv[2];
const catalogue = `http://${host}:9090/`;
const { STATSD_HOST, STATSD_PORT } = process.env;

function report(...lines) {
  if (STATSD_PORT) statsd.send(lines.join("\n"), Number(STATSD_PORT), STATSD_HOST);
}

async function getJson(url) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(`${url}: HTTP status ${answer.status}`);
  return answer.json();
}

// The URL of the property, from the Thing Description that the catalogue of the host lists.
async function findReading() {
  for (;;) {
    try {
      const [path] = Object.values(await getJson(catalogue));
      const thing = await getJson(new URL(path, catalogue));
      const urls = thing.properties.reading.forms.map((form) => new URL(form.href, thing.base ?? catalogue));
      const url = urls.find(({ protocol }) => protocol === "http:");
      if (url) return url;
      throw new Error(`no HTTP form in ${urls.join(", ")}`);
    } catch (error) {
      console.log(`waiting for ${catalogue}: ${error.cause?.code ?? error.message}`);
      await sleep(500);
    }
  }
}

async function main() {
  const url = await findReading();
  console.log(`reading ${url}`);
  for (;;) {
    const began = Date.now();
    try {
      const reading = await getJson(url);
      const now = Date.now();
      report("answers:1|c", `took:${now - began}|ms`, `age:${now - 1000 * reading.t}|ms`);
    } catch (error) {
      console.log(`no reading: ${error.cause?.code ?? error.message}`);
      report("failures:1|c");
    }
    await sleep(Math.max(0, began + 200 - Date.now()));
  }
}

main();
