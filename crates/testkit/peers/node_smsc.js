// node-smpp as a carrier. Arguments and output: README.md.
'use strict';
const smpp = require('smpp');

const RECEIPT_AFTER_MS = 10;
const ERRORS_MAX = 20;

const [systemId, password] = process.argv.slice(2);
const seen = { binds: 0, unbinds: 0, submits: 0, messages: 0, receipts: 0, errors: [] };
const texts = new Set();
const BIND = ['bind_transmitter', 'bind_receiver', 'bind_transceiver'];

function fail(text) {
	if (seen.errors.length < ERRORS_MAX) seen.errors.push(text);
}

// YYMMDDhhmm, as receipts have it.
function minute(date) {
	return date.toISOString().replace(/\D/g, '').slice(2, 12);
}

function report(session, submit, id, text) {
	const now = minute(new Date());
	session.deliver_sm({
		esm_class: 0x04,
		source_addr_ton: submit.dest_addr_ton,
		source_addr_npi: submit.dest_addr_npi,
		source_addr: submit.destination_addr,
		dest_addr_ton: submit.source_addr_ton,
		dest_addr_npi: submit.source_addr_npi,
		destination_addr: submit.source_addr,
		short_message: `id:${id} sub:001 dlvrd:001 submit date:${now} done date:${now} stat:DELIVRD err:000 text:${text.slice(0, 20)}`,
		receipted_message_id: id,
		message_state: 2,
	}, (answer) => {
		if (answer.command_status === 0) seen.receipts += 1;
		else fail(`deliver_sm_resp with status ${answer.command_status}`);
	});
}

function serve(session) {
	// Small PDUs both ways at once: waiting to fill a segment would cost each message tens of milliseconds.
	session.socket.setNoDelay(true);
	let receipts = null; // the session that reports go to: this one, once it is bound
	let unbound = false;
	for (const command of BIND) {
		session.on(command, (pdu) => {
			const known = pdu.system_id === systemId && pdu.password === password;
			if (known) {
				seen.binds += 1;
				receipts = session;
			}
			const status = known ? smpp.ESME_ROK : smpp.ESME_RBINDFAIL;
			session.send(pdu.response({ command_status: status, system_id: 'node-smpp' }));
		});
	}
	session.on('submit_sm', (pdu) => {
		if (!receipts) {
			session.send(pdu.response({ command_status: smpp.ESME_RINVBNDSTS }));
			return;
		}
		const content = pdu.message_payload || pdu.short_message;
		const text = String(content.message ?? content);
		seen.submits += 1;
		texts.add(`${pdu.destination_addr} ${text}`);
		const id = (0x10000000 + seen.submits).toString(16);
		session.send(pdu.response({ message_id: id }));
		if (pdu.registered_delivery & 1) setTimeout(report, RECEIPT_AFTER_MS, receipts, pdu, id, text);
	});
	session.on('enquire_link', (pdu) => session.send(pdu.response()));
	session.on('unbind', (pdu) => {
		unbound = true;
		seen.unbinds += 1;
		session.send(pdu.response());
	});
	session.on('close', () => {
		if (receipts && !unbound) fail('a bound peer closed the connection without unbind');
	});
	session.on('error', (error) => fail(error.message));
}

const server = smpp.createServer(serve);
server.listen(0, '127.0.0.1', () => {
	console.log(JSON.stringify({ listening: `127.0.0.1:${server.address().port}` }));
});
process.stdin.on('end', () => {
	seen.messages = texts.size;
	console.log(JSON.stringify(seen));
	process.exit(0);
}).resume();
