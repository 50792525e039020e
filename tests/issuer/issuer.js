// An issuer of tokens on a free port of this machine. Each line of input is a request, each line of output its
// answer: {"mint": {"header": {...}, "claims": {...}, "key": "mine" | "foreign"}} gives {"token": "..."},
// {"down": true} closes the port, {"down": false} opens it again.
import { createInterface } from "node:readline";
import { createHmac } from "node:crypto";
import { OAuth2Issuer, OAuth2Server } from "oauth2-mock-server";

const server = new OAuth2Server();
const foreign = new OAuth2Issuer();
await server.issuer.keys.generate("RS256");
await foreign.keys.generate("RS256", { kid: server.issuer.keys.toJSON()[0].kid });
await server.start(0, "127.0.0.1");
const { port } = server.address();
server.issuer.url = `http://127.0.0.1:${port}`;
foreign.url = server.issuer.url;
const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`);
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
say({ issuer: server.issuer.url });

async function mint({ claims = {}, key = "mine" }) {
  const issuer = key === "foreign" ? foreign : server.issuer;
  const transform = (_, payload) => Object.assign(payload, claims);
  if (key === "mine" || key === "foreign") {
    return issuer.buildToken({ scopesOrTransform: (header, payload) => transform(header, payload) });
  }
  const now = Math.floor(Date.now() / 1000);
  const payload = { iss: server.issuer.url, iat: now, exp: now + 600, ...claims };
  const jwk = server.issuer.keys.toJSON()[0];
  const message = `${encode({ alg: key === "none" ? "none" : "HS256", kid: jwk.kid })}.${encode(payload)}`;
  // With the public key as the secret: what a verifier falls for that lets the token choose.
  const tag = key === "none" ? "" : createHmac("sha256", jwk.n).update(message).digest("base64url");
  return `${message}.${tag}`;
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  if (request.mint) say({ token: await mint(request.mint) });
  // Stopping forgets the address, which tokens still name.
  else if (request.down) { await server.stop(); server.issuer.url = foreign.url; say({}); }
  else { await server.start(port, "127.0.0.1"); server.issuer.url = `http://127.0.0.1:${port}`; say({}); }
}
