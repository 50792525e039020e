// Unmodified versions of Uppy in a real browser, against the local stack.
//
// TINTYPE is the stack's binary; SITES has a directory for each version, with a page in it.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach, describe, test } from 'node:test'
import { chromium } from 'playwright-core'
import { Proxy } from './proxy.js'
import { Stack, pageKey, png, ports, until } from './stack.js'

const { TINTYPE, SITES, CHROMIUM = '/usr/bin/chromium' } = process.env
const VERSIONS = ['uppy-5', 'uppy-6']
const PART = 5 * 1024 * 1024

let directory, port, stack, token, proxy, browser, site, page, small, large

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'browser-'))
  port = await ports()
  stack = await Stack.start(TINTYPE, directory, port)
  token = await pageKey(stack)
  proxy = await new Proxy().start()
  // None of what a browser does beside showing the page.
  const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
  quiet.push('--disable-background-networking', '--disable-component-update', '--disable-sync')
  // Loopback, too, goes through the proxy.
  const through = [`--proxy-server=http://${proxy.address}`, '--proxy-bypass-list=<-loopback>']
  browser = await chromium.launch({ executablePath: CHROMIUM, args: [...quiet, ...through] })
  site = await serve()
})

after(async () => {
  await browser?.close()
  proxy?.stop()
  site?.close()
  await stack?.end('SIGTERM')
  await rm(directory, { recursive: true, force: true })
})

// New pictures each time: the same bytes would share one original.
beforeEach(async () => {
  [small, large] = [png(300), png(2200)]
  await page?.context().close()
  page = await (await browser.newContext()).newPage()
  proxy.parts = []
  proxy.refused = 0
})

// The application's site, which is another origin than the API.
async function serve() {
  const server = createServer(async (request, response) => {
    const { pathname, searchParams } = new URL(request.url, 'http://site')
    if (pathname === '/page.js') {
      const version = new URL(request.headers.referer).searchParams.get('version') ?? searchParams.get('version')
      response.setHeader('content-type', 'text/javascript')
      response.end(await readFile(join(SITES, version, 'page.js')))
    } else if (pathname.endsWith('.png')) {
      response.setHeader('content-type', 'image/png')
      response.end(pathname === '/small.png' ? small : large)
    } else {
      response.setHeader('content-type', 'text/html')
      response.setHeader('referrer-policy', 'unsafe-url')
      response.end(await readFile(new URL('page.html', import.meta.url)))
    }
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  return server
}

// How a version is told where the server is, and who asks.
function options(version, shouldUseMultipart) {
  const signer = {
    'uppy-5': { endpoint: stack.api, headers: { authorization: `Bearer ${token}` } },
    'uppy-6': { companionEndpoint: `${stack.api}/with/${token}` },
  }
  return { ...signer[version], shouldUseMultipart }
}

const seen = () => page.evaluate(() => window.seen)
const upload = () => page.evaluate(() => { window.uppy.upload().catch((error) => { window.seen.error = String(error) }) })
const retry = () => page.evaluate(() => { window.uppy.retryAll() })
const failed = () => until('the error', async () => (await seen()).error)
const image = () => until('the upload', async () => (await seen()).image)

async function begin(version, multipart, file, meta = {}, more = {}) {
  await page.goto(`http://127.0.0.1:${site.address().port}/?version=${version}`)
  await page.evaluate((options) => window.begin(options), { ...options(version, multipart), ...more })
  await page.evaluate(([file, meta]) => window.add(file, meta), [file, meta])
}

async function is(bytes) {
  const id = await image()
  const now = await stack.settled(id)
  assert.equal(now.state, 'ready', JSON.stringify(now))
  assert.equal(now.sha256, createHash('sha256').update(bytes).digest('hex'))
  assert.ok((await stack.original(id)).equals(bytes), 'the original is what was sent')
  assert.equal(await stack.unfinished(), 0)
  return now
}

for (const version of VERSIONS) {
  describe(version, { timeout: 180_000 }, () => {
    test('a small file goes in one request', async () => {
      await begin(version, false, '/small.png', { title: 'Noise' })
      await upload()
      assert.equal((await is(small)).title, 'Noise')
    })

    test('a page may say how large the file is', async () => {
      await begin(version, false, '/small.png', { size: small.length })
      await upload()
      await is(small)
    })

    test('a large file goes in parts', async () => {
      await begin(version, true, '/large.png')
      await upload()
      await is(large)
      assert.equal((await seen()).parts, Math.ceil(large.length / PART))
    })

    test('a connection that is lost in the middle costs a part', async () => {
      // One part after the other.
      await begin(version, true, '/large.png', {}, { limit: 1 })
      const middle = proxy.middleOf(2)
      await upload()
      await middle
      proxy.cut()
      await until('another attempt', () => proxy.refused)
      proxy.mend()
      await is(large)
      // Parts overlap in the older version.
      assert.deepEqual(proxy.parts.sort(), [1, 2, 2, 3])
    })

    test('who cancels leaves nothing', async () => {
      await begin(version, true, '/large.png')
      const middle = proxy.middleOf(2)
      await upload()
      await middle
      assert.equal(await stack.unfinished(), 1)
      await page.evaluate(() => window.uppy.cancelAll())
      await until('the upload to be given up', async () => await stack.unfinished() === 0)
    })
  })
}

describe('a server that dies', { timeout: 180_000 }, () => {
  test('goes on where it was', async () => {
    await begin('uppy-6', true, '/large.png')
    const middle = proxy.middleOf(2)
    await upload()
    await middle
    await stack.end('SIGKILL')
    await failed()
    stack = await Stack.start(TINTYPE, directory, port)
    assert.equal(await stack.unfinished(), 1)
    await retry()
    await is(large)
    assert.equal(proxy.parts.filter((part) => part === 1).length, 1)
  })
})
