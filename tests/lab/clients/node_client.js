// One request by Node's client: `node node_client.js VERSION CA ORIGIN METHOD PATH AUTHORIZATION SIZE`.
//
// Sends `Expect: 100-continue` with a body of SIZE bytes, which waits for the 100. Prints what came, as JSON.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const https = require('https');

const [version, ca, origin, method, path, authorization, size] = process.argv.slice(2);
const body = Buffer.alloc(Number(size), 'x');
const fields = { authorization };
// The certificate names the host, the URL its address.
const tls = { ca: fs.readFileSync(ca), checkServerIdentity: () => undefined };
if (body.length > 0) {
  fields.expect = '100-continue';
  fields['content-length'] = body.length;
}
const seen = { continued: false, hints: [], status: 0, body: '' };
const end = () => { console.log(JSON.stringify(seen)); process.exit(0); };
setTimeout(() => { console.log(JSON.stringify({ ...seen, late: true })); process.exit(1); }, 15000);

function follow(request) {
  request.on('continue', () => { seen.continued = true; request.end(body); });
  request.on('error', (error) => { console.error(error); process.exit(1); });
  if (body.length === 0) {
    request.end();
  }
}

if (version === '2') {
  const session = http2.connect(origin, tls);
  session.on('error', (error) => { console.error(error); process.exit(1); });
  const request = session.request({ ':method': method, ':path': path, ...fields }, { endStream: false });
  request.on('headers', (head) => { if (head[':status'] === 103) seen.hints.push(head.link); });
  request.on('response', (head) => { seen.status = head[':status']; });
  request.setEncoding('utf8');
  request.on('data', (data) => { seen.body += data; });
  request.on('end', end);
  follow(request);
} else {
  const request = https.request(origin + path, { method, headers: fields, ...tls }, (response) => {
    seen.status = response.statusCode;
    response.setEncoding('utf8');
    response.on('data', (data) => { seen.body += data; });
    response.on('end', end);
  });
  request.on('information', (info) => { if (info.statusCode === 103) seen.hints.push(info.headers.link); });
  follow(request);
  // The head goes before the body.
  request.flushHeaders();
}
