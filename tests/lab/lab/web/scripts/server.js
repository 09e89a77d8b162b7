// A server of Node's in one version of HTTP: `node server.js VERSION HOST PORT KEY CERT KEEP_ALIVE_MS`.
//
// What it is asked for is in the path, and it tells what it got as JSON.
'use strict';
const fs = require('fs');
const http2 = require('http2');
const https = require('https');

const [version, host, port, key, cert, keepAlive] = process.argv.slice(2);
const tls = { key: fs.readFileSync(key), cert: fs.readFileSync(cert), ALPNProtocols: [version === '2' ? 'h2' : 'http/1.1'] };
const server = version === '2' ? http2.createSecureServer(tls) : https.createServer(tls);
let uploaded = 0;

function answer(request, response, told) {
  let size = 0;
  const say = () => response.end(JSON.stringify({ url: request.url, method: request.method, size, told, uploaded }));
  if (request.url.endsWith('/early')) {
    // Before the body, which is read to its end all the same.
    uploaded = 0;
    request.on('data', (data) => { uploaded += data.length; });
    response.writeHead(200);
    response.end('early');
    return;
  }
  request.on('data', (data) => { size += data.length; });
  request.on('end', () => {
    if (request.url.endsWith('/hints')) {
      response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' });
    }
    say();
  });
}

server.on('request', (request, response) => answer(request, response, false));
function proceed(request, response) {
  response.writeContinue();
  answer(request, response, true);
}

server.on('checkContinue', proceed);
// The JDK spells it `100-Continue`, which Node does not know in HTTP/2: it would answer 417, for which the JDK waits for ever.
server.on('checkExpectation', proceed);
// As strict as the servers that compare the tokens byte for byte.
server.on('upgrade', (request, socket) => {
  const spelled = request.rawHeaders.join('\n');
  const isSpelled = /(^|\n)Connection\nUpgrade(\n|$)/.test(spelled) && /(^|\n)Upgrade\nwebsocket(\n|$)/.test(spelled);
  if (!isSpelled) {
    socket.end(`HTTP/1.1 400 Bad Request\r\nContent-Length: ${spelled.length}\r\n\r\n${spelled}`);
    return;
  }
  const accept = require('crypto').createHash('sha1')
    .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
  // A text frame, then the close frame.
  socket.end(Buffer.from([0x81, 0x02, 0x68, 0x69, 0x88, 0x02, 0x03, 0xe8]));
});
server.keepAliveTimeout = Number(keepAlive);
server.listen(Number(port), host, () => console.log('ready'));
