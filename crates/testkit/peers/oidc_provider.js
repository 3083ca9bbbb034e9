// oidc-provider as the service that people sign in with. Arguments and output: README.md.
'use strict';
const http = require('node:http');
const oidc = require('oidc-provider');

const Provider = oidc.default || oidc.Provider || oidc;
const [clientId, clientSecret, redirectUri] = process.argv.slice(2);

// Who is signed in at this service; `/as/<name>` changes it.
let person = 'anna';
const people = {
	anna: { email: 'anna@example.com', email_verified: true, name: 'Anna Example', groups: ['staff', 'operators'] },
	bert: { email: 'bert@example.com', email_verified: false, name: 'Bert', groups: ['operators'] },
	carl: { email: 'carl@elsewhere.example', email_verified: true, name: 'Carl', groups: [] },
};

const server = http.createServer();
server.listen(0, '127.0.0.1', () => {
	const listening = `127.0.0.1:${server.address().port}`;
	const provider = new Provider(`http://${listening}`, {
		clients: [{
			client_id: clientId,
			client_secret: clientSecret,
			redirect_uris: [redirectUri],
			grant_types: ['authorization_code', 'client_credentials'],
			response_types: ['code'],
		}],
		claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
		scopes: ['openid', 'email', 'profile', 'groups'],
		pkce: { required: () => true },
		features: {
			devInteractions: { enabled: false },
			clientCredentials: { enabled: true },
			// Access tokens are JWTs for the audience that a client names as its resource (RFC 8707, RFC 9068).
			resourceIndicators: {
				enabled: true,
				getResourceServerInfo: (_context, resource) => ({
					scope: '',
					audience: resource,
					accessTokenFormat: 'jwt',
					accessTokenTTL: 300,
				}),
			},
		},
		cookies: { keys: ['a key of a test'] },
		interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
		findAccount: (_context, id) => ({
			accountId: id,
			claims: () => ({ sub: id, ...people[id] }),
		}),
	});
	const handle = provider.callback();
	const finish = async (request, response) => {
		const details = await provider.interactionDetails(request, response);
		const grant = new provider.Grant({ accountId: person, clientId });
		grant.addOIDCScope(String(details.params.scope));
		const consent = { grantId: await grant.save() };
		await provider.interactionFinished(request, response, { login: { accountId: person }, consent });
	};
	server.on('request', (request, response) => {
		if (request.url.startsWith('/as/')) {
			person = request.url.slice('/as/'.length);
			response.end(person);
		} else if (request.url.startsWith('/interaction/')) {
			finish(request, response).catch((error) => {
				process.stderr.write(`${error}\n`);
				response.statusCode = 500;
				response.end();
			});
		} else {
			handle(request, response);
		}
	});
	process.stdout.write(`${JSON.stringify({ listening })}\n`);
});

process.stdin.resume();
process.stdin.on('end', () => {
	process.stdout.write('{}\n');
	process.exit(0);
});
