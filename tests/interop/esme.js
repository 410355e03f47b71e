// A foreign ESME for the interop tests: the npm package `smpp` as client, driven by JSON lines (see `lines.py`).
//
//   node esme.js
//
// The package leaves the splitting of texts to its user, and never cuts the link by itself.
'use strict';

const readline = require('readline');
const smpp = require('smpp');

const GSM = { whole: 160, part: 153 };
const UCS2 = { whole: 70, part: 67 };

let session = null;
let reference = 0;

function say(event, fields) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

function onDeliver(pdu) {
  session.send(pdu.response());
  const body = pdu.short_message || {};
  const udh = body.udh ? Buffer.concat([Buffer.from([body.udh.reduce((n, e) => n + e.length, 0)]), ...body.udh]) : Buffer.alloc(0);
  const ucs2 = pdu.data_coding === 8;
  const text = Buffer.isBuffer(body.message) ? body.message : ucs2 ? Buffer.from(body.message, 'utf16le').swap16() : smpp.encodings.ASCII.encode(body.message);
  say('deliver', {
    from: pdu.source_addr,
    to: pdu.destination_addr,
    octets: Buffer.concat([udh, text]).toString('hex'),
    data_coding: pdu.data_coding,
    esm_class: pdu.esm_class,
    receipted_message_id: pdu.receipted_message_id || null,
    message_state: pdu.message_state || null,
  });
}

function split(text) {
  const ascii = /^[\x20-\x7e\n]*$/.test(text);
  const limit = ascii ? GSM : UCS2;
  const coding = ascii ? 0 : 8;
  if (text.length <= limit.whole) return [{ coding, message: text }];
  reference = (reference + 1) & 0xff;
  const total = Math.ceil(text.length / limit.part);
  return Array.from({ length: total }, (_, index) => ({
    coding,
    message: { udh: Buffer.from([5, 0, 3, reference, total, index + 1]), message: text.slice(index * limit.part, (index + 1) * limit.part) },
  }));
}

const COMMANDS = {
  bind: (command) => {
    session = smpp.connect({ url: `smpp://127.0.0.1:${command.port}` }, () => {
      const bind = { system_id: command.system_id, password: command.password };
      session[`bind_${command.kind}`](bind, (pdu) => say('bound', { status: pdu.command_status }));
    });
    session.on('error', (error) => say('link_error', { message: String(error.message) }));
    session.on('close', () => say('link_closed', {}));
    session.on('deliver_sm', onDeliver);
    session.on('enquire_link', (pdu) => session.send(pdu.response()));
    session.on('unbind', (pdu) => session.send(pdu.response(), () => session.close()));
  },
  submit: (command) => {
    for (const part of split(command.text)) {
      session.submit_sm(
        {
          source_addr: command.from,
          source_addr_ton: 1,
          source_addr_npi: 1,
          destination_addr: command.to,
          dest_addr_ton: 1,
          dest_addr_npi: 1,
          registered_delivery: 1,
          data_coding: part.coding,
          short_message: part.message,
        },
        (pdu) => say('submit_resp', { status: pdu.command_status, message_id: pdu.message_id || null }),
      );
    }
  },
  unbind: () => session.unbind((pdu) => {
    say('unbound', { status: pdu.command_status });
    session.close();
  }),
  close: () => session.destroy(),
};

say('ready', {});
readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => {
    const command = JSON.parse(line);
    COMMANDS[command.cmd](command);
  })
  .on('close', () => process.exit(0));
