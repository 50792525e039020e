// What lies between the browser and everything else, and can be cut in the middle of a part.

import http from 'node:http'

export class Proxy {
  // What to do when so many bytes of a part have gone by.
  #watch = null
  #down = false
  #sockets = new Set()
  // How many requests met a connection that was cut.
  refused = 0
  // The numbers of the parts that were sent, in full or not.
  parts = []

  async start() {
    this.server = http.createServer((request, response) => this.#pass(request, response))
    this.server.on('connection', (socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {})
    })
    await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve))
    return this
  }

  get address() {
    return `127.0.0.1:${this.server.address().port}`
  }

  stop() {
    this.server.close()
    this.#drop()
  }

  // Comes true when the middle of a part is reached. Its bytes go no further then.
  middleOf(part) {
    return new Promise((resolve) => { this.#watch = { part, resolve } })
  }

  // Cuts what is there, and what comes until it is mended.
  cut() {
    this.#down = true
    this.#drop()
  }

  mend() {
    this.#down = false
  }

  #drop() {
    for (const socket of this.#sockets) socket.destroy()
  }

  #pass(request, response) {
    if (this.#down) {
      this.refused += 1
      request.socket.destroy()
      return
    }
    const url = new URL(request.url)
    const part = Number(request.method === 'PUT' && url.searchParams.get('partNumber'))
    if (part) this.parts.push(part)
    const { method, headers } = request
    const further = http.request(url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.rawHeaders)
      answer.pipe(response)
    })
    further.on('error', () => request.socket.destroy())
    response.on('close', () => further.destroy())
    let bytes = 0
    request.on('data', (chunk) => {
      bytes += chunk.length
      if (this.#watch?.part === part && bytes > 100_000) {
        const { resolve } = this.#watch
        this.#watch = null
        request.pause()
        resolve()
      } else if (!further.write(chunk)) {
        request.pause()
        further.once('drain', () => request.resume())
      }
    })
    request.on('end', () => further.end()).on('error', () => further.destroy())
  }
}
