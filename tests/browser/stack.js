// The local stack as a child process, a look at what it keeps, and pictures to send.

import { spawn } from 'node:child_process'
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { crc32, deflateSync } from 'node:zlib'

const PATIENCE = 60_000

// Waits until a condition gives something.
export async function until(what, condition, patience = PATIENCE) {
  const end = Date.now() + patience
  for (;;) {
    const value = await condition()
    if (value) return value
    if (Date.now() > end) throw new Error(`still waiting for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

// Two free ports in a row: the API's, and that of S3.
export async function ports() {
  for (;;) {
    const [first, second] = [createServer(), createServer()]
    const listen = (server, port) => new Promise((resolve) => {
      server.once('error', () => resolve(null)).listen(port, '127.0.0.1', () => resolve(server.address().port))
    })
    const port = await listen(first, 0)
    const next = await listen(second, port + 1)
    for (const server of [first, second]) if (server.listening) await new Promise((done) => server.close(done))
    if (next) return port
  }
}

export class Stack {
  // Starts a stack that keeps its data, on ports that it can be found on again.
  static async start(tintype, directory, port) {
    const ready = `${directory}/ready.json`
    await rm(ready, { force: true })
    const options = ['--no-build', '--quiet', '--port', port, '--data', `${directory}/data`, '--ready-file', ready]
    const child = spawn(tintype, options.map(String), { stdio: ['ignore', 'inherit', 'inherit'] })
    const read = async () => {
      if (child.exitCode !== null) throw new Error(`the stack ended with ${child.exitCode}`)
      return JSON.parse(await readFile(ready, 'utf8').catch(() => 'null'))
    }
    return new Stack(child, await until('the stack', read))
  }

  constructor(child, ready) {
    Object.assign(this, { child, ...ready })
  }

  async end(signal) {
    this.child.kill(signal)
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit')
  }

  async call(method, path, body) {
    const headers = { authorization: `Bearer ${this.key}`, 'content-type': 'application/json' }
    const answer = await fetch(this.api + path, { method, headers, body: body && JSON.stringify(body) })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }

  // The image, when it is neither pending nor being processed.
  settled(image) {
    return until(`${image} to be settled`, async () => {
      const now = await this.call('GET', `/v1/images/${image}`)
      return !['pending', 'processing'].includes(now.state) && now
    })
  }

  // The bytes that are kept of an image.
  async original(image) {
    const bucket = this.resources.OriginalsBucket
    const listed = await (await fetch(`${this.api}/_tintype/buckets/OriginalsBucket`)).json()
    const { key } = listed.find((object) => object.key.includes(image))
    const answer = await fetch(presigned(this, `/${bucket}/${key}`))
    if (!answer.ok) throw new Error(await answer.text())
    return Buffer.from(await answer.arrayBuffer())
  }

  // How many uploads in parts S3 has not put together.
  async unfinished() {
    const answer = await fetch(presigned(this, `/${this.resources.UploadsBucket}`, { uploads: '' }))
    return ((await answer.text()).match(/<UploadId>/g) ?? []).length
  }
}

// What a page gets: a key that opens uploads and nothing else. It is written behind the API's back, like the first.
export async function pageKey(stack) {
  const table = { TableName: stack.resources.Table }
  const [, first] = stack.key.split('_')
  const row = { PK: { S: `K#key_${first}` }, SK: { S: 'KEY' } }
  const { Item: item } = await dynamodb(stack, 'GetItem', { ...table, Key: row })
  const ulid = Array.from(randomBytes(26), (byte) => '0123456789ABCDEFGHJKMNPQRSTVWXYZ'[byte % 32]).join('')
  const [id, secret] = [`0${ulid.slice(1)}`, randomBytes(32)]
  const text = (value) => ({ S: value })
  const page = {
    ...item,
    PK: text(`K#key_${id}`),
    GSI1SK: text(`key_${id}`),
    id: text(`key_${id}`),
    secret_hash: text(createHash('sha256').update(secret).digest('hex')),
    scopes: { L: [text('uploads:create')] },
  }
  await dynamodb(stack, 'PutItem', { ...table, Item: page })
  return `tt_${id}_${secret.toString('base64url')}`
}

async function dynamodb(stack, operation, input) {
  const [body, amz] = [JSON.stringify(input), date()]
  const { host } = new URL(stack.dynamodb)
  const names = 'host;x-amz-date;x-amz-target'
  const target = `DynamoDB_20120810.${operation}`
  const request = ['POST', '/', '', `host:${host}`, `x-amz-date:${amz}`, `x-amz-target:${target}`, '', names, sha256(body)]
  const scope = `${amz.slice(0, 8)}/${stack.region}/dynamodb/aws4_request`
  const credential = `Credential=${stack.access_key}/${scope}`
  const signature = `Signature=${sign(stack, scope, amz, request)}`
  const authorization = `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=${names}, ${signature}`
  const headers = { authorization, 'x-amz-date': amz, 'x-amz-target': target, 'content-type': 'application/x-amz-json-1.0' }
  const answer = await fetch(`${stack.dynamodb}/`, { method: 'POST', headers, body })
  if (!answer.ok) throw new Error(await answer.text())
  return answer.json()
}

const sha256 = (text) => createHash('sha256').update(text).digest('hex')
const date = () => new Date().toISOString().replace(/[-:]|\.\d+/g, '')

// https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html
function sign({ secret_key }, scope, amz, request) {
  const text = ['AWS4-HMAC-SHA256', amz, scope, sha256(request.join('\n'))].join('\n')
  const hmac = (key, part) => createHmac('sha256', key).update(part)
  const key = scope.split('/').reduce((key, part) => hmac(key, part).digest(), `AWS4${secret_key}`)
  return hmac(key, text).digest('hex')
}

// A URL that root may read: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
function presigned(stack, path, more = {}) {
  const amz = date()
  const scope = `${amz.slice(0, 8)}/${stack.region}/s3/aws4_request`
  const { host } = new URL(stack.s3)
  const query = Object.entries({
    ...more,
    'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
    'X-Amz-Credential': `${stack.access_key}/${scope}`,
    'X-Amz-Date': amz,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
  })
  const names = query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
  const canonical = names.sort().join('&')
  const request = ['GET', path, canonical, `host:${host}`, '', 'host', 'UNSIGNED-PAYLOAD']
  return `${stack.s3}${path}?${canonical}&X-Amz-Signature=${sign(stack, scope, amz, request)}`
}

// A PNG of noise, which nothing makes smaller, of this many pixels each way.
export function png(size) {
  const row = () => Buffer.concat([Buffer.from([0]), randomBytes(size * 3)])
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data])
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)]
    length.writeUInt32BE(data.length)
    sum.writeUInt32BE(crc32(body))
    return Buffer.concat([length, body, sum])
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(size, 0)
  header.writeUInt32BE(size, 4)
  header.set([8, 2, 0, 0, 0], 8)
  const pixels = deflateSync(Buffer.concat(Array.from({ length: size }, row)), { level: 0 })
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', pixels), chunk('IEND', Buffer.alloc(0))])
}
