// A foreign SMSC for the interop tests: the npm package `smpp` as server, driven by JSON lines.
//
//   node smsc.js [--port N] [--system-id ID] [--password SECRET]
//
// stdin, one object a line:
//   {"cmd":"mo","ref":R,"from":"12025550150","to":"12025550100","text":"…"}     a text from a phone, in parts when long;
//       "data_coding" 0 or 8 overrides the choice by content, "reverse":true sends the last part first
//   {"cmd":"receipt","ref":R,"message_id":"…","stat":"DELIVRD","state":2}       a delivery receipt; "text_id" if the text
//       is to name another id than the TLV, "tlv":false for a receipt of text alone
//   {"cmd":"set", …}       receipts: true|false, throttle_every: N, hold_submits: true|false, submit_status: N, id_base: 16|10
//   {"cmd":"release"}      answer the held submits
//   {"cmd":"cut"}          drop every connection        {"cmd":"enquire","ref":R}        {"cmd":"quit"}
// stdout, one object a line, each with "event":
//   listening{port} bind{kind,system_id,status} submit{message_id,from,to,text,udh,data_coding,esm_class,
//   registered_delivery,source_addr_ton,dest_addr_ton,status} answered{ref,what,part,status} unbind enquire_link
//   link_closed link_error{message} unsupported{command}
'use strict';

const readline = require('readline');
const smpp = require('smpp');

const OPTIONS = readOptions(process.argv.slice(2));
const GSM_LIMIT = { whole: 160, part: 152 };
const UCS2_LIMIT = { whole: 70, part: 66 };

const settings = { receipts: false, throttle_every: 0, hold_submits: false, submit_status: 0, id_base: 16 };
const sessions = new Set();
const held = [];
let submits = 0;
let lastId = 0x1000;
let reference = 0;

function readOptions(args) {
  const options = { port: 0, 'system-id': '', password: '' };
  for (let i = 0; i < args.length; i += 2) options[args[i].replace(/^--/, '')] = args[i + 1];
  return options;
}

function say(event, fields) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

// -- what the ESME asks ------------------------------------------------------------------------------

function bindStatus(pdu) {
  if (OPTIONS['system-id'] && pdu.system_id !== OPTIONS['system-id']) return smpp.ESME_RINVSYSID;
  if (OPTIONS.password && pdu.password !== OPTIONS.password) return smpp.ESME_RINVPASWD;
  return smpp.ESME_ROK;
}

function onBind(session, kind, pdu) {
  const status = bindStatus(pdu);
  say('bind', { kind, system_id: pdu.system_id, status });
  if (status) {
    session.send(pdu.response({ command_status: status }), () => session.close());
    return;
  }
  session.receives = kind !== 'bind_transmitter';
  session.send(pdu.response({ system_id: 'npm-smpp', sc_interface_version: 0x34 }));
}

function onSubmit(session, pdu) {
  submits += 1;
  const throttled = settings.throttle_every > 0 && submits % settings.throttle_every === 0;
  const status = throttled ? smpp.ESME_RTHROTTLED : settings.submit_status;
  const messageId = status ? '' : nextId();
  const body = pdu.short_message || {};
  say('submit', {
    message_id: messageId,
    from: pdu.source_addr,
    to: pdu.destination_addr,
    text: asText(body.message),
    udh: (body.udh || []).map((element) => Buffer.from(element).toString('hex')),
    data_coding: pdu.data_coding,
    esm_class: pdu.esm_class,
    registered_delivery: pdu.registered_delivery,
    source_addr_ton: pdu.source_addr_ton,
    dest_addr_ton: pdu.dest_addr_ton,
    status,
  });
  const answer = () => answerSubmit(session, pdu, status, messageId);
  if (settings.hold_submits) held.push(answer);
  else answer();
}

function answerSubmit(session, pdu, status, messageId) {
  session.send(pdu.response(status ? { command_status: status } : { message_id: messageId }));
  if (!status && settings.receipts && pdu.registered_delivery & 1) {
    sendReceipt({ message_id: messageId, from: pdu.destination_addr, to: pdu.source_addr, ref: messageId });
  }
}

function nextId() {
  lastId += 1;
  return lastId.toString(settings.id_base);
}

function asText(message) {
  return Buffer.isBuffer(message) ? `hex:${message.toString('hex')}` : message || '';
}

// -- what the ESME is asked --------------------------------------------------------------------------

function receiver() {
  return [...sessions].find((session) => session.receives);
}

function deliver(fields, ref, what, part) {
  const session = receiver();
  if (!session) {
    say('answered', { ref, what, part, status: -1 });
    return;
  }
  session.deliver_sm(fields, (response) => {
    say('answered', { ref, what, part, status: response.command_status });
  });
}

function sendReceipt(command) {
  const stat = command.stat || 'DELIVRD';
  const textId = command.text_id || command.message_id;
  const text = `id:${textId} sub:001 dlvrd:001 submit date:2601011200 done date:2601011201 stat:${stat} err:000 text:`;
  const fields = {
    source_addr: command.from || '',
    destination_addr: command.to || '',
    source_addr_ton: 1,
    dest_addr_ton: 1,
    esm_class: 4,
    data_coding: 0,
    short_message: text,
  };
  if (command.tlv !== false) {
    fields.receipted_message_id = command.message_id;
    fields.message_state = command.state || 2;
  }
  deliver(fields, command.ref, 'receipt', 1);
}

function sendMo(command) {
  const gsm = smpp.encodings.detect(command.text) === 'ASCII';
  const dataCoding = command.data_coding === undefined ? (gsm ? 0 : 8) : command.data_coding;
  const pieces = split(command.text, dataCoding === 8 ? UCS2_LIMIT : GSM_LIMIT, dataCoding);
  if (pieces.length > 1) reference = (reference + 1) & 0xff;
  const parts = pieces.map((piece, index) => ({ number: index + 1, message: message(piece, index + 1, pieces.length) }));
  if (command.reverse) parts.reverse();
  for (const part of parts) {
    const fields = {
      source_addr: command.from,
      destination_addr: command.to,
      source_addr_ton: 1,
      source_addr_npi: 1,
      dest_addr_ton: 1,
      dest_addr_npi: 1,
      data_coding: dataCoding,
      short_message: part.message,
    };
    deliver(fields, command.ref, 'mo', part.number);
  }
}

function message(piece, number, total) {
  if (total === 1) return piece;
  return { udh: Buffer.from([5, 0, 3, reference, total, number]), message: piece };
}

function split(text, limit, dataCoding) {
  const size = (character) => (dataCoding === 8 ? character.length : smpp.encodings.ASCII.encode(character).length);
  const total = [...text].reduce((sum, character) => sum + size(character), 0);
  if (total <= limit.whole) return [text];
  const pieces = [''];
  let room = limit.part;
  for (const character of text) {
    if (size(character) > room) {
      pieces.push('');
      room = limit.part;
    }
    pieces[pieces.length - 1] += character;
    room -= size(character);
  }
  return pieces;
}

// -- control -----------------------------------------------------------------------------------------

const COMMANDS = {
  mo: sendMo,
  receipt: sendReceipt,
  set: ({ cmd, ...changes }) => Object.assign(settings, changes),
  release: () => held.splice(0).forEach((answer) => answer()),
  cut: () => sessions.forEach((session) => session.destroy()),
  enquire: (command) => {
    const session = [...sessions][0];
    if (session) session.enquire_link((pdu) => say('answered', { ref: command.ref, what: 'enquire', status: pdu.command_status }));
  },
  quit: () => process.exit(0),
};

function onSession(session) {
  sessions.add(session);
  session.receives = false;
  session.on('error', (error) => say('link_error', { message: String(error.message) }));
  session.on('close', () => {
    sessions.delete(session);
    say('link_closed', {});
  });
  for (const kind of ['bind_transceiver', 'bind_transmitter', 'bind_receiver']) {
    session.on(kind, (pdu) => onBind(session, kind, pdu));
  }
  session.on('submit_sm', (pdu) => onSubmit(session, pdu));
  session.on('enquire_link', (pdu) => {
    session.send(pdu.response());
    say('enquire_link', {});
  });
  session.on('unbind', (pdu) => {
    session.receives = false;
    session.send(pdu.response(), () => session.close());
    say('unbind', {});
  });
  session.on('unknown', (pdu) => {
    session.send(pdu.response());
    say('unsupported', { command: pdu.command_id });
  });
}

const server = smpp.createServer(onSession);
server.listen(Number(OPTIONS.port), '127.0.0.1', () => say('listening', { port: server.address().port }));
readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    COMMANDS[command.cmd](command);
  })
  .on('close', () => process.exit(0));
