// One job of the picture benchmark, done by sharp.
//
//   node job.js JOB FILE DIRECTORY    does the job once for every line on standard input, which is the quality,
//                                     and answers with a line of JSON; the pictures go into DIRECTORY
//   node job.js decode FILE PNG       what a picture looks like, for formats that nothing else here can read
//   node job.js versions              what this is
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const sharp = require('sharp');

// One picture after the other, each as if it were the first: so does a function.
sharp.cache(false);
sharp.concurrency(1);

const LADDER = [160, 320, 640, 1280, 2048];

// Upright, and never larger than it is. White behind what is transparent, where the format needs something.
const resized = (from, width) => from.autoOrient().resize({ width, withoutEnlargement: true });
const jpeg = (picture, quality) => picture.flatten({ background: 'white' }).jpeg({ quality }).toBuffer();
const webp = (picture, quality) => picture.webp({ quality }).toBuffer();
const avif = (picture, quality) => picture.avif({ quality }).toBuffer();

// The usual code: every size from the upload.
async function decodingEach(upload, quality) {
  const pictures = {};
  for (const width of LADDER) pictures[`${width}.webp`] = await webp(resized(sharp(upload), width), quality);
  pictures['1280.jpg'] = await jpeg(resized(sharp(upload), 1280), quality);
  return pictures;
}

// The best that sharp can do: the upload is decoded once, for the largest size, and the others are made of that.
async function decodingOnce(upload, quality) {
  const { data, info } = await resized(sharp(upload), LADDER.at(-1)).raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  const decoded = () => sharp(data, { raw: { width, height, channels } });
  const pictures = {};
  for (const width of LADDER) pictures[`${width}.webp`] = await webp(resized(decoded(), width), quality);
  pictures['1280.jpg'] = await jpeg(resized(decoded(), 1280), quality);
  return pictures;
}

const thumbnail = async (upload, quality) => ({ '320.jpg': await jpeg(resized(sharp(upload), 320), quality) });

const JOBS = {
  thumbnail,
  start: thumbnail,
  webp: async (upload, quality) => ({ '1280.webp': await webp(resized(sharp(upload), 1280), quality) }),
  'png-webp': async (upload, quality) => ({ '640.webp': await webp(resized(sharp(upload), 640), quality) }),
  avif: async (upload, quality) => ({ '640.avif': await avif(resized(sharp(upload), 640), quality) }),
  ladder: decodingOnce,
  memory: decodingOnce,
  'ladder-each': decodingEach,
};

// The most that this process ever had in memory. `resourceUsage().maxRSS` would be at least what the process that
// started this one had: Linux keeps it across `exec`.
function peakBytes() {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}

async function main([job, file, target]) {
  if (job === 'decode') {
    await sharp(file).toColourspace('srgb').png({ compressionLevel: 1 }).toFile(target);
    return;
  }
  if (job === 'versions') {
    console.log(`sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}, node ${process.versions.node}`);
    return;
  }
  if (!JOBS[job]) throw new Error(`no job ${job}: one of ${Object.keys(JOBS).join(' ')}`);
  const upload = fs.readFileSync(file);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    // A start is everything that the process has done until here.
    const before = job === 'start' ? { user: 0, system: 0 } : process.cpuUsage();
    const began = process.hrtime.bigint();
    const pictures = await JOBS[job](upload, Number(line));
    const wall = process.hrtime.bigint() - began;
    const { user, system } = process.cpuUsage();
    const peak = peakBytes();
    let bytes = 0;
    for (const [name, picture] of Object.entries(pictures)) {
      fs.writeFileSync(path.join(target, name), picture);
      bytes += picture.length;
    }
    const cpu = user - before.user + system - before.system;
    console.log(JSON.stringify({ cpu_ms: cpu / 1e3, wall_ms: Number(wall) / 1e6, peak_bytes: peak, bytes }));
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
