// jose as a service that checks our access tokens by what we publish alone. Arguments and output: README.md.
'use strict';
const { createRemoteJWKSet, jwtVerify } = require('jose');

const [keys, issuer, token] = process.argv.slice(2);

jwtVerify(token, createRemoteJWKSet(new URL(keys)), { issuer, audience: issuer, typ: 'at+jwt', algorithms: ['ES256'] })
	.then(({ payload }) => process.stdout.write(`${JSON.stringify(payload)}\n`))
	.catch((error) => process.stdout.write(`${JSON.stringify({ refused: error.code || String(error) })}\n`));
