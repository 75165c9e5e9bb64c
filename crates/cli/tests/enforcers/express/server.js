// express-rate-limit as a vendor of the tests: one limit for everybody, and a record of what it decided.
//
//   node server.js HEADERS LIMIT WINDOW_MS      HEADERS: draft-6, draft-7 or draft-8
//
// Prints where it listens. GET /stats, which is not limited, answers every decision so far in its order:
// [{"at_ms": 1763760000000, "status": 200}, ...]
'use strict';

const express = require('express');
const { rateLimit } = require('express-rate-limit');

const [standardHeaders, limit, windowMs] = process.argv.slice(2);
const decisions = [];
const decided = (status) => decisions.push({ at_ms: Date.now(), status });

const limiter = rateLimit({
  standardHeaders,
  legacyHeaders: false,
  limit: Number(limit),
  windowMs: Number(windowMs),
  keyGenerator: () => 'everybody',
  handler: (_request, response, _next, options) => {
    decided(options.statusCode);
    response.status(options.statusCode).send(options.message);
  },
});

const app = express();
app.get('/stats', (_request, response) => response.json(decisions));
app.get('/calls', limiter, (_request, response) => {
  decided(200);
  response.json({ ok: true });
});
const server = app.listen(0, '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
