// node-smpp as a customer. Arguments and output: README.md.
'use strict';
const smpp = require('smpp');

const IDLE_LIMIT_MS = 30000;
const ERRORS_MAX = 20;

const [host, port, systemId, password, ...numbers] = process.argv.slice(2);
const [count, window, first] = numbers.map(Number);

const outcome = { sent: 0, accepted: 0, receipts: 0, duplicates: 0, errors: [], seconds: 0 };
const accepted = new Set(); // message ids that were answered
const received = new Map(); // message id → final receipts; a receipt may come before its answer
const begun = Date.now();
let pending = 0;
let matched = 0;
let unbinding = false;
let idle = null;

function fail(text) {
	if (outcome.errors.length < ERRORS_MAX) outcome.errors.push(text);
}

function end() {
	for (const id of received.keys()) if (!accepted.has(id)) fail(`receipt for unknown id ${id}`);
	outcome.receipts = matched;
	outcome.seconds = (Date.now() - begun) / 1000;
	console.log(JSON.stringify(outcome));
	process.exit(0);
}

function progress() {
	clearTimeout(idle);
	idle = setTimeout(() => {
		fail(`nothing came for ${IDLE_LIMIT_MS} ms`);
		if (unbinding) end();
		unbind();
	}, IDLE_LIMIT_MS);
	while (!unbinding && outcome.sent < count && pending < window) submit(first + outcome.sent);
	const answered = outcome.sent === count && pending === 0;
	if (!unbinding && answered && matched === accepted.size) unbind();
}

function submit(number) {
	outcome.sent += 1;
	pending += 1;
	session.submit_sm({
		source_addr_ton: 5,
		source_addr: 'node-smpp',
		dest_addr_ton: 1,
		dest_addr_npi: 1,
		destination_addr: String(4915100000000 + number),
		registered_delivery: 1,
		short_message: `ID${number} from node-smpp`,
	}, (answer) => {
		pending -= 1;
		if (answer.command_status !== 0) {
			fail(`submit_sm_resp with status ${answer.command_status}`);
		} else {
			outcome.accepted += 1;
			if (accepted.has(answer.message_id)) fail(`message id ${answer.message_id} given twice`);
			accepted.add(answer.message_id);
			if (received.has(answer.message_id)) matched += 1;
		}
		progress();
	});
}

function receipt(pdu) {
	const text = String(pdu.short_message.message);
	const state = /stat:(\w+)/.exec(text)?.[1];
	const id = pdu.receipted_message_id || /id:(\S+)/.exec(text)?.[1];
	if ((pdu.esm_class & 0x3c) !== 0x04 || !id) fail(`deliver_sm that is no receipt: ${text}`);
	else if (!['ENROUTE', 'ACCEPTD'].includes(state)) {
		const times = (received.get(id) || 0) + 1;
		received.set(id, times);
		if (times > 1) outcome.duplicates += 1;
		else if (accepted.has(id)) matched += 1;
	}
	session.send(pdu.response());
	progress();
}

function unbind() {
	unbinding = true;
	session.unbind((answer) => {
		if (answer.command_status !== 0) fail(`unbind_resp with status ${answer.command_status}`);
		session.close(end);
	});
}

const session = smpp.connect({ host, port: Number(port) }, () => {
	// A window of 1 would otherwise wait for delayed acknowledgements of TCP.
	session.socket.setNoDelay(true);
	session.bind_transceiver({ system_id: systemId, password, interface_version: 0x34 }, (answer) => {
		if (answer.command_status !== 0) {
			fail(`bind_transceiver_resp with status ${answer.command_status}`);
			end();
		}
		progress();
	});
});
session.on('deliver_sm', receipt);
session.on('enquire_link', (pdu) => session.send(pdu.response()));
session.on('error', (error) => fail(error.message));
session.on('close', () => {
	if (!unbinding) fail('the peer closed the connection');
	end();
});
process.stdin.on('end', () => process.exit(1)).resume();
