// JsSIP or SIP.js as a phone over WebSocket, driven by JSON lines as pjsua2_phone.py is.
//
//   node webphone.js jssip|sipjs
//
// stdin:  {"cmd":"register","url":"ws://127.0.0.1:P","user":U,"password":W,"domain":D}  {"cmd":"send","to":N,"text":T}
//         {"cmd":"unregister"}  {"cmd":"quit"}
// stdout: ready   registered{status,active}   sent{text,status,reason}   message{from,to,text,content_type}
'use strict';

process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'; // the tests' certificate is their own
process.removeAllListeners('warning');
process.on('warning', () => {});

const readline = require('readline');
global.WebSocket = require('ws');

function say(event, fields) {
  process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
}

class JsSIPPhone {
  register({ url, user, password, domain }) {
    const JsSIP = require('jssip');
    this.domain = domain;
    this.ua = new JsSIP.UA({
      sockets: [new JsSIP.WebSocketInterface(url)],
      uri: `sip:${user}@${domain}`,
      password,
      register: true,
      register_expires: 600,
    });
    this.ua.on('registered', (e) => say('registered', { status: e.response.status_code, active: true }));
    this.ua.on('unregistered', (e) => say('registered', { status: e.response ? e.response.status_code : 0, active: false }));
    this.ua.on('registrationFailed', (e) => say('registered', { status: e.response ? e.response.status_code : 0, active: false }));
    this.ua.on('newMessage', ({ originator, request }) => {
      if (originator !== 'remote') return;
      say('message', {
        from: request.from.uri.toString(),
        to: request.to.uri.toString(),
        text: request.body,
        content_type: request.getHeader('Content-Type'),
      });
    });
    this.ua.start();
  }

  send({ to, text }) {
    const done = (e) => say('sent', { text, status: e.response ? e.response.status_code : 0, reason: e.response ? e.response.reason_phrase : '' });
    this.ua.sendMessage(`sip:${to}@${this.domain}`, text, {
      contentType: 'text/plain;charset=UTF-8',
      eventHandlers: { succeeded: done, failed: done },
    });
  }

  unregister() {
    this.ua.unregister();
  }
}

class SIPjsPhone {
  async register({ url, user, password, domain }) {
    const SIP = require('sip.js');
    this.SIP = SIP;
    this.domain = domain;
    this.agent = new SIP.UserAgent({
      uri: SIP.UserAgent.makeURI(`sip:${user}@${domain}`),
      transportOptions: { server: url },
      authorizationUsername: user,
      authorizationPassword: password,
      logBuiltinEnabled: false,
      delegate: {
        onMessage: (message) => {
          const request = message.request;
          message.accept();
          say('message', {
            from: request.from.uri.toString(),
            to: request.to.uri.toString(),
            text: request.body,
            content_type: request.getHeader('Content-Type'),
          });
        },
      },
    });
    await this.agent.start();
    this.registerer = new SIP.Registerer(this.agent, { expires: 600 });
    this.ask((options) => this.registerer.register(options), true);
  }

  ask(request, active) {
    const tell = (accepted) => (response) =>
      say('registered', { status: response.message.statusCode, active: active && accepted });
    request({ requestDelegate: { onAccept: tell(true), onReject: tell(false) } });
  }

  send({ to, text }) {
    const target = this.SIP.UserAgent.makeURI(`sip:${to}@${this.domain}`);
    const messager = new this.SIP.Messager(this.agent, target, text, 'text/plain;charset=UTF-8');
    const done = (response) => say('sent', { text, status: response.message.statusCode, reason: response.message.reasonPhrase });
    messager.message({ requestDelegate: { onAccept: done, onReject: done } });
  }

  unregister() {
    this.ask((options) => this.registerer.unregister(options), false);
  }
}

const phone = process.argv[2] === 'jssip' ? new JsSIPPhone() : new SIPjsPhone();
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const command = JSON.parse(line);
  if (command.cmd === 'quit') process.exit(0);
  phone[command.cmd](command);
}).on('close', () => process.exit(0));
say('ready', {});
