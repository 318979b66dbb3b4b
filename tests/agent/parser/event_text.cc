#include "tests/agent/parser/event_text.h"

#include "agent/parser/dialect.h"
#include "agent/parser/framer.h"

namespace mxtally {
namespace {

std::string_view TypeText(EventType type) {
  switch (type) {
    case EventType::kConnect:
      return "connect";
    case EventType::kHandedOn:
      return "handed-on";
    case EventType::kConnecting:
      return "connecting";
    case EventType::kConnected:
      return "connected";
    case EventType::kDisconnect:
      return "disconnect";
    case EventType::kTlsEstablished:
      return "tls-established";
    case EventType::kTlsSetup:
      return "tls-setup";
    case EventType::kTlsFailed:
      return "tls-failed";
    case EventType::kCertificateChecked:
      return "certificate-checked";
    case EventType::kTlsLibraryProblem:
      return "tls-library-problem";
    case EventType::kTlsRefusedAfterHandshake:
      return "tls-refused-after-handshake";
    case EventType::kTlsRefusedBeforeHandshake:
      return "tls-refused-before-handshake";
    case EventType::kAbnormalEnd:
      return "abnormal-end";
    case EventType::kQueueIdAssigned:
      return "queue-id-assigned";
    case EventType::kQueueIdActive:
      return "queue-id-active";
    case EventType::kQueueIdCanceled:
      return "queue-id-canceled";
    case EventType::kTransaction:
      return "transaction";
    case EventType::kMessageAccepted:
      return "proxy-accept";
    case EventType::kReject:
      return "reject";
    case EventType::kAuthAccepted:
      return "auth-accepted";
    case EventType::kAuthFailed:
      return "auth-failed";
    case EventType::kLimit:
      return "limit";
    case EventType::kClosed:
      return "closed";
    case EventType::kDelivery:
      return "delivery";
    case EventType::kServerGivenUp:
      return "server-given-up";
    case EventType::kTlsReport:
      return "tls-report";
    case EventType::kSessionNote:
      return "note";
    case EventType::kProcessDying:
      return "process-dying";
    case EventType::kProcessDied:
      return "process-died";
    case EventType::kInstanceBoundary:
      return "instance-boundary";
  }
  return "?";
}

class Printer {
 public:
  explicit Printer(std::string_view first) : text_(first) {}

  void Add(std::string_view name, std::string_view value) {
    if (value.empty()) return;
    text_ += ' ';
    text_ += name;
    text_ += '=';
    text_ += value;
  }

  void Add(std::string_view name, int64_t value) { Add(name, std::to_string(value)); }

  std::string text() const { return text_; }

 private:
  std::string text_;
};

void PrintPeer(const NamedAddress& peer, Printer& printer) {
  std::string text(peer.name);
  text += '[';
  text += peer.address;
  text += ']';
  if (peer.port != 0) text += ":" + std::to_string(peer.port);
  printer.Add("peer", text);
}

void PrintTls(const TlsSummary& tls, Printer& printer) {
  if (tls.reused) printer.Add("reused", "yes");
  if (tls.resumed) printer.Add("resumed", "yes");
  printer.Add("trust", tls.trust);
  printer.Add("sni", tls.sni);
  printer.Add("protocol", tls.protocol);
  printer.Add("cipher", tls.cipher);
  printer.Add("bits", std::to_string(tls.bits_used) + "/" + std::to_string(tls.bits_algorithm));
  printer.Add("kex", tls.kex);
  printer.Add("kex-parameter", tls.kex_parameter);
  printer.Add("signature", tls.server_signature);
  printer.Add("key", tls.server_signature_key);
  printer.Add("digest", tls.server_digest);
  printer.Add("client-signature", tls.client_signature);
  printer.Add("client-key", tls.client_signature_key);
  printer.Add("client-digest", tls.client_digest);
}

std::string_view TroubleText(DeliveryTrouble trouble) {
  switch (trouble) {
    case DeliveryTrouble::kNone:
      return "";
    case DeliveryTrouble::kOther:
      return "other";
    case DeliveryTrouble::kLostConnection:
      return "lost-connection";
    case DeliveryTrouble::kTimeout:
      return "timeout";
    case DeliveryTrouble::kRefusedToTalk:
      return "refused-to-talk";
    case DeliveryTrouble::kHandshakeFailed:
      return "handshake-failed";
    case DeliveryTrouble::kTlsNotOffered:
      return "tls-not-offered";
    case DeliveryTrouble::kTlsRefused:
      return "tls-refused";
    case DeliveryTrouble::kCertificateRefused:
      return "certificate-refused";
  }
  return "?";
}

std::string_view DeliveryTlsText(DeliveryTls tls) {
  switch (tls) {
    case DeliveryTls::kNotLogged:
      return "";
    case DeliveryTls::kEstablished:
      return "established";
    case DeliveryTls::kPlaintext:
      return "plaintext";
    case DeliveryTls::kFailed:
      return "failed";
    case DeliveryTls::kUnknown:
      return "unknown";
    case DeliveryTls::kNotShown:
      return "not-shown";
  }
  return "?";
}

void PrintDelivery(const MailDelivery& delivery, Printer& printer) {
  if (delivery.connection_uses != 1) printer.Add("uses", delivery.connection_uses);
  if (delivery.further_recipient) printer.Add("further", "yes");
  printer.Add("queue-delays", delivery.queue_delays);
  printer.Add("setup-delay", delivery.setup_delay);
  if (delivery.connection_age_seconds >= 0) {
    printer.Add("age", static_cast<int64_t>(delivery.connection_age_seconds * 1000));
  }
  printer.Add("tls", DeliveryTlsText(delivery.tls));
  if (delivery.sent) printer.Add("sent", "yes");
  printer.Add("trouble", TroubleText(delivery.trouble));
}

}  // namespace

std::string EventText(LineClass line_class, const Event& event) {
  if (line_class == LineClass::kIgnored) return "ignored";
  if (line_class == LineClass::kUnrecognized) return "unrecognized";
  if (line_class == LineClass::kNotMine) return "not mine";
  Printer printer(TypeText(event.type));
  if (event.outbound) printer.Add("outbound", "yes");
  printer.Add("connection", event.connection);
  printer.Add("service", event.service);
  if (event.implicit_tls) printer.Add("implicit-tls", "yes");
  if (event.may_be_handed_on) printer.Add("may-be-handed-on", "yes");
  if (event.only_continues) printer.Add("only-continues", "yes");
  if (event.local) printer.Add("local", "yes");
  if (event.one_connection) printer.Add("one-connection", "yes");
  if (event.has_peer) PrintPeer(event.peer, printer);
  if (event.type == EventType::kTlsEstablished) PrintTls(event.tls, printer);
  if (event.type == EventType::kCertificateChecked) printer.Add("trust", event.tls.trust);
  printer.Add("tls", DeliveryTlsText(event.connection_tls));
  if (event.connection_tls == DeliveryTls::kEstablished && !event.tls.protocol.empty()) {
    PrintTls(event.tls, printer);
  }
  if (event.connection_age_seconds >= 0) {
    printer.Add("age", static_cast<int64_t>(event.connection_age_seconds * 1000));
  }
  if (event.type == EventType::kDelivery || event.type == EventType::kServerGivenUp) {
    PrintDelivery(event.delivery, printer);
  }
  for (const CommandCounter& counter : event.counters) {
    printer.Add(counter.command,
                std::to_string(counter.accepted) + "/" + std::to_string(counter.total));
  }
  printer.Add("queue-id", event.queue_id);
  printer.Add("original-queue-id", event.original_queue_id);
  printer.Add("auth", event.auth_mechanism);
  printer.Add("place", event.place);
  printer.Add("helo", event.helo);
  if (event.alert) printer.Add("alert", *event.alert);
  if (event.pid >= 0) printer.Add("pid", event.pid);
  printer.Add("program", event.program_name);
  printer.Add("version", event.version);
  printer.Add("reason", event.reason);
  printer.Add("tls-error", event.tls_error);
  return printer.text();
}

namespace {

// What an earlier line left must not show.
Event StaleEvent() {
  Event event;
  event.reason = event.helo = event.queue_id = event.tls.kex = "stale";
  event.connection = event.service = event.program_name = "stale";
  event.outbound = event.unframed = event.implicit_tls = true;
  event.may_be_handed_on = event.only_continues = event.local = true;
  event.tls_error = "stale";
  event.one_connection = true;
  event.connection_tls = DeliveryTls::kFailed;
  event.connection_age_seconds = 1;
  event.delivery.queue_delays = "stale";
  event.delivery.connection_uses = 7;
  event.delivery.further_recipient = true;
  event.counters.resize(3);
  event.pid = 7;
  return event;
}

}  // namespace

std::string Parsed(std::string_view program, std::string_view text) {
  const std::string tag = std::string(program) + "[123]";
  FramedLine line;
  line.host = "mx1";
  line.tag = tag;
  line.program = program;
  line.pid = 123;
  line.text = text;
  Event event = StaleEvent();
  const LineClass line_class = ParseDialect(line, event);
  return EventText(line_class, event);
}

std::string ParsedLine(std::string_view line) {
  FramedLine frame;
  Framer::Stamp stamp;
  if (!Framer::SplitHeader(line, frame, stamp)) return "no header";
  Event event = StaleEvent();
  const LineClass line_class = ParseDialect(frame, event);
  return EventText(line_class, event);
}

}  // namespace mxtally
